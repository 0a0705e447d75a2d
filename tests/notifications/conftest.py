from collections.abc import Iterator
from typing import Any

import pytest

from apps.accounts.models import User
from apps.notifications.models import Notification
from apps.notifications.preferences import Choice, Mail
from apps.notifications.services import set_choices
from tests.notifications.sink import Sink, listening
from tests.queue.conftest import _fresh_process_state, script
from tests.web.conftest import alice_web, data_dir

__all__ = ["_fresh_process_state", "alice_web", "data_dir", "script"]


@pytest.fixture
def sink(settings: Any) -> Iterator[Sink]:
    with listening() as server:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = server.server_address[:2]
        settings.EMAIL_TIMEOUT = 5
        settings.PUBLIC_URL = "https://docs.example.com"
        yield server


@pytest.fixture
def mailed(alice: User) -> User:
    """Alice, who wants mails at once."""
    Notification.objects.all().delete()
    at_once = Choice(mail=Mail.AT_ONCE)
    set_choices(user=alice, choices={"message": at_once, "job_finished": at_once})
    return alice
