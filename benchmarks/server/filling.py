"""An installation with a past: ten organizations, many jobs, and a hundred people who look."""

from dataclasses import dataclass
from typing import Any

PEOPLE = 100
NOTIFICATIONS = 60
JOBS_LOOKED_AT = 50


@dataclass(frozen=True)
class Person:
    """Who asks: an API key, the cookie of a session, and jobs of their organization."""

    key: str
    cookie: str
    jobs: list[str]


def fill(jobs: int) -> list[Person]:
    """Six in ten of the people are in the organization that has nine in ten of the jobs."""
    from apps.accounts.models import Organization
    from apps.accounts.roles import Role
    from apps.accounts.services import add_member, create_api_key, create_user
    from benchmarks.job_lists import biggest, build

    big = biggest(build(jobs))
    others = list(Organization.objects.filter(personal_of=None).exclude(pk=big.pk))
    people = []
    for number in range(PEOPLE):
        organization = big if number % 10 < 6 else others[number % len(others)]
        user = create_user(email=f"{number}@example.com", password=None, name=f"Person {number}")
        add_member(organization=organization, user=user, role=Role.CONTRIBUTOR)
        key = create_api_key(organization=organization, user=user, name="bench")[1]
        people.append(Person(key, _cookie(user, organization), _jobs(organization)))
    for organization in (big, *others):
        _notify(organization)
    return people


def _notify(organization: Any) -> None:
    """Tells all its people of so many things, as operators do."""
    from apps.accounts.models import Membership
    from apps.notifications.services import notify

    members = Membership.objects.in_organization(organization).values_list("user_id", flat=True)
    for number in range(NOTIFICATIONS):
        facts = {"title": f"Message {number}", "text": "Read this."}
        key = f"message:{organization.pk}:{number}"
        notify(
            kind="message",
            key=key,
            organization_id=organization.pk,
            users=list(members),
            facts=facts,
        )


def _cookie(user: Any, organization: Any) -> str:
    """Of a session in which the user has switched to the organization."""
    from django.conf import settings
    from django.test import Client

    from apps.accounts.actor import SESSION_KEY

    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    session = client.session
    session[SESSION_KEY] = str(organization.pk)
    session.save()
    return f"{settings.SESSION_COOKIE_NAME}={session.session_key}"


def _jobs(organization: Any) -> list[str]:
    from apps.jobs.models import BatchJob

    newest = BatchJob.objects.in_organization(organization).order_by("-created_at", "-id")
    return [str(pk) for pk in newest.values_list("pk", flat=True)[:JOBS_LOOKED_AT]]
