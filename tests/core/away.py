"""A session engine whose database is away when the answer is about to leave."""

from django.contrib.sessions.backends import db
from django.db import OperationalError

from tests.core.urls import SECRET


class SessionStore(db.SessionStore):
    def save(self, must_create: bool = False) -> None:
        raise OperationalError(SECRET)
