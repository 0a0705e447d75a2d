"""What walks of every route share: what is of Acme, and what must not be seen or changed of it."""

import uuid
from typing import Any

import pytest
from rest_framework.test import APIClient

from apps.accounts.actor import Actor
from apps.accounts.models import ApiKey, Invitation, Membership, Organization, SignedIn, User
from apps.accounts.roles import Role
from apps.accounts.services import create_api_key, invite, know_session
from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.jobs.models import BatchFile, BatchJob, Export, UploadSession
from apps.notifications.models import Notification
from apps.queue.models import Pause
from tests.doors.world import session_of
from tests.jobs.exporting import built
from tests.jobs.forms import accepted, body, field, part
from tests.jobs.parts import uploaded
from tests.jobs.runs import fail_next, read_next

IDS = ("id", "upload_id", "export_id", "member_id", "invitation_id", "key_id", "session_id")
FOREIGN = ("Acme", "acme", "alice@example.com", "bob@example.com", "what was read")
"""What is in everything that was made here, and in no answer that Charlie gets."""


def cases(*tables: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(route, verb) for table in tables for route, verbs in table.items() for verb in verbs]


@pytest.fixture
def job(alice_api: APIClient, acme: Organization, alice: User, bob: User) -> dict[str, Any]:
    """Alice's, with one file read, one failed and one rejected, and ids of what else is of Acme.
    Its audit log tells of it."""
    made = accepted(
        alice_api,
        part(b"acme's plan", "acme-plan.txt"),
        part(b"b", "acme-b.txt"),
        part(b"", "acme-bad.txt"),
        field("name", "acme-job"),
    )
    read_next()
    fail_next()
    built(alice_api, made["id"])
    record(organization=acme, actor=alice, action="job.submit", reason="acme's reason")
    actor = Actor(user=alice, organization=acme, role=Role.OWNER)
    key, _ = create_api_key(organization=acme, user=alice, name="acme's key")
    session = session_of(alice, acme)
    know_session(user=alice, session_key=session, agent="acme's browser")
    return made | {
        "session_id": str(SignedIn.objects.get(session_id=session).pk),
        "upload_id": uploaded(alice_api, b"acme's", "acme-part.txt"),
        "export_id": str(Export.objects.get().pk),
        "member_id": str(Membership.objects.get(user=alice, organization=acme).public_id),
        "invitation_id": str(invite(actor=actor, email="acme@example.com", role=Role.READER).pk),
        "key_id": str(key.pk),
    }


def elsewhere(job: dict[str, Any]) -> dict[str, Any]:
    """The same with ids of nothing."""
    return {**job, **{name: str(uuid.uuid4()) for name in IDS}}


def filled_in(route: str, job: dict[str, Any], file: BatchFile) -> str:
    names = {"<uuid:job_id>": job["id"], "<uuid:file_id>": str(file.pk), "<int:number>": "1"}
    names |= {f"<uuid:{name}>": job[name] for name in IDS[1:]}
    names["<uuid:api_key_id>"] = job["key_id"]
    told = Notification.objects.filter(user__email="alice@example.com").values_list("pk", flat=True)
    names |= dict.fromkeys(("<uuid:pk>", "<uuid:notification_id>"), str(told[0]))
    for name, value in names.items():
        route = route.replace(name, value)
    return f"/{route}"


def everything() -> list[list[dict[str, Any]]]:
    """All rows that somebody could change."""
    of_jobs = (BatchJob, BatchFile, Export, UploadSession, Pause, AuditEntry, Notification)
    models = (*of_jobs, User, Organization, Membership, Invitation, ApiKey)
    # That a log was fetched is an entry: a GET that leaves something behind.
    rows = {model: model._default_manager.order_by("pk") for model in models}
    rows[AuditEntry] = rows[AuditEntry].exclude(action="audit.export")
    return [list(each.values()) for each in rows.values()]


def check_nothing_foreign(answer: Any, *more: str) -> None:
    text = body(answer).decode(errors="replace")
    assert not [each for each in (*FOREIGN, *more) if each in text], text
