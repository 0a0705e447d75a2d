"""The audit log as a file: NDJSON, whose lines have all that is hashed, or CSV for people."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model

from apps.audit.models import AuditEntry, EntryQuerySet
from apps.core.csv_rows import BYTE_ORDER_MARK, row_in_csv
from apps.core.pool import give_back

CHUNK = 1000
COLUMNS = (
    "number",
    "at",
    "actor_name",
    "action",
    "target",
    "target_id",
    "detail",
    "reason",
    "id",
    "organization",
    "actor",
    "chain",
    "previous",
    "hash",
)


@dataclass(frozen=True)
class Chosen:
    """Which entries are meant: of an action, by somebody's address, from a moment on, before
    another; "" and None choose all."""

    action: str = ""
    actor: str = ""
    since: datetime | None = None
    until: datetime | None = None


def chosen(entries: EntryQuerySet, choice: Chosen) -> EntryQuerySet:
    """Those of `entries` that are meant."""
    if choice.action:
        entries = entries.filter(action=choice.action)
    if choice.actor:
        entries = entries.filter(actor_name=choice.actor)
    if choice.since:
        entries = entries.filter(at__gte=choice.since)
    if choice.until:
        entries = entries.filter(at__lt=choice.until)
    return entries


def entries_of(organization: Model) -> EntryQuerySet:
    """The log of an organization."""
    return AuditEntry.objects.filter(organization=organization.pk)


def row(entry: AuditEntry) -> dict[str, Any]:
    """Everything of an entry, as it is hashed."""
    told = {**entry.content(), "previous": entry.previous, "hash": entry.hash}
    return {name: told[name] for name in COLUMNS}


def detail_of(entry: AuditEntry) -> dict[str, Any]:
    """What it was about; nothing where somebody left there what is no JSON."""
    try:
        told = json.loads(entry.detail)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _oldest_first(entries: EntryQuerySet) -> Iterator[AuditEntry]:
    """All of them, in portions: no connection is held while one is sent, for who fetches them may
    be slow. What is added meanwhile is at the end."""
    portion = list(entries.order_by("id")[:CHUNK])
    while portion:
        give_back()
        yield from portion
        portion = list(entries.filter(pk__gt=portion[-1].pk).order_by("id")[:CHUNK])


def ndjson(entries: EntryQuerySet) -> Iterator[bytes]:
    """A line of JSON for each, oldest first."""
    for entry in _oldest_first(entries):
        yield json.dumps(row(entry), ensure_ascii=False).encode(errors="replace") + b"\n"


def csv(entries: EntryQuerySet) -> Iterator[bytes]:
    """A row for each, oldest first, under the names of the columns."""
    yield f"{BYTE_ORDER_MARK}{row_in_csv(COLUMNS)}\r\n".encode()
    for entry in _oldest_first(entries):
        yield f"{row_in_csv(row(entry).values())}\r\n".encode(errors="replace")


@dataclass(frozen=True)
class Format:
    """One of the kinds of file."""

    write: Callable[[EntryQuerySet], Iterator[bytes]]
    media_type: str
    label: str


FORMATS = {
    "ndjson": Format(ndjson, "application/x-ndjson", "a line of JSON for each entry"),
    "csv": Format(csv, "text/csv; charset=utf-8", "a table"),
}
