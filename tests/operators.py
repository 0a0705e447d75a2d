"""Staff at the admin: their browsers, and what its pages tell them."""

from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client

from apps.accounts.services import create_user


def superuser() -> Client:
    """The browser of root@example.com, who may everything and is a member of nobody's
    organization."""
    user = create_user(email="root@example.com", password=None, is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


def staff(*permissions: str) -> Client:
    """The browser of staff@example.com, who has `permissions` (code names)."""
    user = create_user(email="staff@example.com", password=None, is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def told(answer: Any) -> list[str]:
    """The messages of a page."""
    return [str(message) for message in answer.context["messages"]]
