"""A session engine whose database is away when somebody is asked for."""

from django.contrib.sessions.backends import db
from django.db import OperationalError

from tests.core.urls import SECRET


class SessionStore(db.SessionStore):
    def load(self) -> dict[str, object]:
        raise OperationalError(SECRET)
