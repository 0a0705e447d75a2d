"""Whatever was done to entries but adding them is found, and the first of them is named."""

import tracemalloc
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import Organization, User
from apps.audit.chain import Flaw, Problem
from apps.audit.models import AuditEntry, Chain
from apps.audit.services import record
from apps.audit.verifying import verify, verify_all
from tests.audit.entries import add, rewrite, take_away
from tests.batches import together


@pytest.fixture
def log(acme: Organization, alice: User) -> list[AuditEntry]:
    for number in range(1, 6):
        record(
            organization=acme,
            actor=alice,
            action="job.cancel",
            target="job",
            target_id=number,
            detail={"number": number},
            reason="because",
        )
    return list(AuditEntry.objects.order_by("number"))


OTHER_VALUES: dict[str, Any] = {
    "id": uuid.UUID(int=7),
    "at": datetime(2026, 1, 2, tzinfo=UTC),
    "organization_id": None,
    "actor_id": None,
    "actor_name": "mallory@example.com",
    "action": "job.delete",
    "target": "file",
    "target_id": "x",
    "detail": "{}",
    "reason": "",
    "previous": "0" * 64,
    "hash": "0" * 64,
}


@pytest.mark.parametrize("place", [1, 2, 4])
@pytest.mark.parametrize("column", OTHER_VALUES)
def test_a_change_of_any_column_is_named(
    acme: Organization, log: list[AuditEntry], column: str, place: int
) -> None:
    rewrite(log[place], **{column: OTHER_VALUES[column]})
    assert verify(acme) == Flaw(str(acme.pk), place + 1, Problem.CHANGED)
    assert list(verify_all()) == [verify(acme)]


def test_a_microsecond_matters(acme: Organization, log: list[AuditEntry]) -> None:
    rewrite(log[2], at=log[2].at + timedelta(microseconds=1))
    assert verify(acme) == Flaw(str(acme.pk), 3, Problem.CHANGED)


def test_every_column_is_tried() -> None:
    columns = {field.attname for field in AuditEntry._meta.concrete_fields}
    assert columns == set(OTHER_VALUES) | {"chain_id", "number"}  # these two below


def test_an_actor_that_is_none_and_one_that_is_zero_differ(acme: Organization) -> None:
    add(acme, "a")
    rewrite(AuditEntry.objects.get(), actor_id=0)
    assert verify(acme) == Flaw(str(acme.pk), 1, Problem.CHANGED)


@pytest.mark.once  # PostgreSQL takes dates and ids alone
@pytest.mark.parametrize("column", ["at", "organization_id", "id"])
def test_what_cannot_even_be_read_is_named(
    acme: Organization, log: list[AuditEntry], column: str
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE audit_auditentry SET {column} = 'x' WHERE number = 3")
    assert verify(acme) == Flaw(str(acme.pk), 3, Problem.CHANGED)


@pytest.mark.parametrize("number", [0, 99])
def test_another_number_leaves_a_gap(
    acme: Organization, log: list[AuditEntry], number: int
) -> None:
    rewrite(log[2], number=number)
    assert verify(acme) == Flaw(str(acme.pk), 3, Problem.MISSING)


def test_an_entry_that_was_put_into_another_log_is_missed_in_one_and_too_many_in_the_other(
    acme: Organization, other: Organization, log: list[AuditEntry]
) -> None:
    add(other, "a", "b")
    rewrite(log[2], chain_id=str(other.pk))
    assert verify(acme) == Flaw(str(acme.pk), 3, Problem.MISSING)
    assert verify(other) == Flaw(str(other.pk), 3, Problem.UNCOUNTED)
    assert set(verify_all()) == {verify(acme), verify(other)}


def test_two_that_changed_places_are_named(acme: Organization, log: list[AuditEntry]) -> None:
    for entry, number in ((log[1], 99), (log[3], 2), (log[1], 4)):
        rewrite(entry, number=number)
    assert verify(acme) == Flaw(str(acme.pk), 2, Problem.REORDERED)


@pytest.mark.parametrize("place", [0, 1, 4])
def test_a_replaced_entry_with_a_hash_that_fits_is_named(
    acme: Organization, log: list[AuditEntry], place: int
) -> None:
    log[place].action = "nothing.happened"
    rewrite(log[place], action="nothing.happened", hash=log[place].digest())
    assert verify(acme) == Flaw(str(acme.pk), place + 1, Problem.REPLACED)


@pytest.mark.parametrize(
    ("gone", "named"), [([0], 1), ([2], 3), ([4], 5), ([3, 4], 4), ([0, 1, 2, 3, 4], 1)]
)
def test_missing_entries_are_named(
    acme: Organization, log: list[AuditEntry], gone: list[int], named: int
) -> None:
    take_away(*(log[place] for place in gone))
    assert verify(acme) == Flaw(str(acme.pk), named, Problem.MISSING)


def test_a_head_that_was_set_back_leaves_entries_uncounted(
    acme: Organization, log: list[AuditEntry]
) -> None:
    Chain.objects.update(number=3, hash=log[2].hash)
    assert verify(acme) == Flaw(str(acme.pk), 4, Problem.UNCOUNTED)


def test_a_head_that_was_taken_away_leaves_entries_uncounted(
    acme: Organization, log: list[AuditEntry]
) -> None:
    with transaction.atomic():  # at whose end the foreign key would be looked at
        models.QuerySet(Chain)._raw_delete("default")
        assert list(verify_all()) == [Flaw(str(acme.pk), 1, Problem.UNCOUNTED)]
        transaction.set_rollback(True)


@pytest.mark.parametrize("number", [6, 99])
def test_an_entry_that_was_made_past_record_is_named(
    acme: Organization, log: list[AuditEntry], number: int
) -> None:
    last = log[-1]
    forged = AuditEntry(
        chain=last.chain, number=number, at=last.at, organization=acme, previous=last.hash
    )
    forged.hash = forged.digest()
    forged.save()
    assert verify(acme) == Flaw(str(acme.pk), number, Problem.UNCOUNTED)


def test_only_the_first_bad_entry_of_each_log_is_named(
    acme: Organization, log: list[AuditEntry]
) -> None:
    add(None, "a", "b")
    for entry in (log[1], log[3], AuditEntry.objects.get(chain="system", number=2)):
        rewrite(entry, reason="x")
    expected = {Flaw(str(acme.pk), 2, Problem.CHANGED), Flaw("system", 2, Problem.CHANGED)}
    assert set(verify_all()) == expected
    assert str(verify(None)).startswith("Entry 2 of the audit log system does not have the hash")


@pytest.mark.django_db(transaction=True)
def test_entries_that_are_added_while_it_reads_are_no_flaw(acme: Organization) -> None:
    add(acme, "a")
    is_done = []

    def add_some() -> None:
        add(acme, *["job.cancel"] * 40)
        is_done.append(True)

    def look() -> list[Flaw]:
        found: list[Flaw] = []
        while not is_done:
            found += verify_all()
        return found

    _, flaws = together([add_some, look])
    assert flaws == []


def test_it_holds_a_chunk_at_a_time(acme: Organization, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.audit.verifying.CHUNK", 10)
    add(acme, *["job.cancel"] * 600)
    with CaptureQueriesContext(connection) as queries:
        assert verify(acme) is None
    assert len(queries) <= 5  # and not one more for each chunk
    tracemalloc.start()
    try:
        assert verify(acme) is None
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 300_000  # all 600 at once take more than twice as much


def forge(acme: Organization, *numbers: int) -> None:
    """Entries past the end of the log, each with a hash that fits, as SQL would add them."""
    chain = Chain.objects.get(pk=str(acme.pk))
    for number in numbers:
        entry = AuditEntry(
            chain=chain, number=number, at=datetime(2026, 1, 2, tzinfo=UTC), previous=chain.hash
        )
        entry.hash = entry.digest()
        entry.save(force_insert=True)


@pytest.mark.parametrize(
    ("forged", "then"), [((6,), 7), ((6, 7, 8), 9), ((6, 8), 7), ((6, 2**62), 7)]
)
def test_what_was_put_past_the_end_stops_no_entry_and_is_named(
    acme: Organization, log: list[AuditEntry], forged: tuple[int, ...], then: int
) -> None:
    forge(acme, *forged)
    assert verify(acme) == Flaw(str(acme.pk), 6, Problem.UNCOUNTED)
    for number in range(then, then + 3):
        if number not in forged:
            add(acme, "job.cancel")
            assert AuditEntry.objects.filter(action="job.cancel", number=number).exists()
    flaw = verify(acme)
    assert flaw is not None
    assert (flaw.number, flaw.problem) in {(6, Problem.REPLACED), (7, Problem.REPLACED)}


def test_a_log_whose_end_was_taken_away_goes_on_and_is_found(
    acme: Organization, log: list[AuditEntry]
) -> None:
    models.QuerySet(Chain).all()._raw_delete("default")
    add(acme, "job.cancel")
    assert verify(acme) == Flaw(str(acme.pk), 5, Problem.REPLACED)
