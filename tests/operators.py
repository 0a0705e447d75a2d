"""Staff at the admin: their browsers, and what its pages tell them."""

from typing import Any

from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from apps.accounts.actor import Actor
from apps.accounts.models import Organization, User
from apps.accounts.services import create_user
from apps.jobs.models import BatchJob
from tests.batches import submit
from tests.jobs.runs import fail_next, read_next

MODELS = ("batchjob", "batchfile", "fileattempt")


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


def operator_in(organization: Organization) -> Actor:
    """root@example.com, acting from the admin in an organization they are no member of."""
    found = User.objects.filter(email="root@example.com").first()
    user = found or create_user(email="root@example.com", password=None, name="Root")
    return Actor.operator(user, organization)


def told(answer: Any) -> list[str]:
    """The messages of a page."""
    return [str(message) for message in answer.context["messages"]]


def list_of(model: str) -> str:
    """The address of the list of one of MODELS."""
    return reverse(f"admin:jobs_{model}_changelist")


def page_of(row: Any) -> str:
    return reverse(f"admin:jobs_{row._meta.model_name}_change", args=[row.pk])


def a_failed_and_a_read(acme: Organization) -> BatchJob:
    """A job with a file that was read and one that failed."""
    job = submit(acme, "one", "two")
    read_next()
    fail_next()
    job.refresh_from_db()
    return job
