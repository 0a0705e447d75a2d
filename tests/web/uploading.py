"""The page of a new job in a browser without scripts."""

import re
from typing import Any

from django.test import Client

from apps.accounts.actor import SESSION_KEY
from apps.accounts.models import Organization, User
from tests.jobs.forms import FORM_TYPE, body_of, field

PAGE = "/jobs/new"
TOKEN = re.compile(r'<form id="upload".*?name="csrfmiddlewaretoken" value="(\w+)"', re.DOTALL)
KEY = re.compile(r'name="idempotency_key" value="(\w+)"')


class Browser:
    """Sends the page's form as a browser without scripts does, checked for CSRF as a real one."""

    def __init__(self, user: User, organization: Organization) -> None:
        self.client = Client(enforce_csrf_checks=True)
        self.client.force_login(user)
        session = self.client.session
        session[SESSION_KEY] = str(organization.pk)
        session.save()
        self.open()

    def open(self) -> None:
        shown = self.client.get(PAGE)
        assert shown.status_code == 200
        self.token, self.key = hidden_fields(shown.content.decode())

    def fields(self, **others: str) -> list[bytes]:
        """The plain fields that stand before the files."""
        given = {"csrfmiddlewaretoken": self.token, "idempotency_key": self.key} | others
        return [field(name, value) for name, value in given.items()]

    def send(self, *files: bytes, **others: str) -> Any:
        return self.post(*self.fields(**others), *files)

    def post(self, *parts: bytes, **headers: str) -> Any:
        return self.client.generic("POST", PAGE, body_of(parts), FORM_TYPE, headers=headers)


def hidden_fields(page: str) -> tuple[str, str]:
    token, key = TOKEN.search(page), KEY.search(page)
    assert token
    assert key
    return token[1], key[1]


def assert_refused(answer: Any, status: int, *told: str) -> None:
    """The page came again with its reasons."""
    assert answer.status_code == status, answer.content
    page = answer.content.decode()
    assert "Nothing was submitted" in page
    hidden_fields(page)
    for each in told:
        assert each in page, each
