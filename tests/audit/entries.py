"""Entries of an audit log to test with, and what somebody with SQL could do to them."""

from typing import Any

from django.db import models

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.audit.services import record


def add(organization: Organization | None, *actions: str, actor: User | None = None) -> None:
    for action in actions:
        record(organization=organization, actor=actor, action=action)


def acts() -> models.QuerySet[AuditEntry]:
    """What was done to jobs and other things after they were submitted."""
    return AuditEntry.objects.exclude(action="job.submit")


def numbers(organization: Organization | None) -> list[int]:
    entries = AuditEntry.objects.filter(organization=organization)
    return list(entries.order_by("number").values_list("number", flat=True))


def rewrite(entry: AuditEntry, **columns: Any) -> None:
    """Past everything that refuses it, as SQL would."""
    models.QuerySet(AuditEntry).filter(pk=entry.pk).update(**columns)


def take_away(*entries: AuditEntry) -> None:
    rows = models.QuerySet(AuditEntry).filter(pk__in=[entry.pk for entry in entries])
    rows._raw_delete("default")
