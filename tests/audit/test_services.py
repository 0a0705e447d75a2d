"""Entries are added one after the other, and whatever else is done to them is found."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, models, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Organization, User
from apps.audit.chain import GENESIS, Flaw, Problem
from apps.audit.models import AuditEntry, Chain
from apps.audit.services import record, verify, verify_all
from tests.batches import together


def add(organization: Organization | None, *actions: str, actor: User | None = None) -> None:
    for action in actions:
        record(organization=organization, actor=actor, action=action)


def numbers(organization: Organization | None) -> list[int]:
    entries = AuditEntry.objects.filter(organization=organization)
    return list(entries.order_by("number").values_list("number", flat=True))


def rewrite(entry: AuditEntry, **columns: Any) -> None:
    """Past everything that refuses it, as SQL would."""
    models.QuerySet(AuditEntry).filter(pk=entry.pk).update(**columns)


def take_away(*entries: AuditEntry) -> None:
    rows = models.QuerySet(AuditEntry).filter(pk__in=[entry.pk for entry in entries])
    rows._raw_delete("default")


# --- adding -------------------------------------------------------------------------------------


def test_an_entry_holds_what_was_told(acme: Organization, alice: User) -> None:
    thing = uuid.uuid4()
    before = timezone.now()
    record(
        organization=acme,
        actor=alice,
        action="job.cancel",
        target="job",
        target_id=thing,
        detail={"files": 3, "at": datetime(2026, 1, 2, tzinfo=UTC)},
        reason="The wrong folder",
    )
    entry = AuditEntry.objects.get()
    assert (entry.organization, entry.actor, entry.actor_name) == (acme, alice, alice.email)
    assert (entry.action, entry.target, entry.target_id) == ("job.cancel", "job", str(thing))
    assert entry.detail == '{"at":"2026-01-02 00:00:00+00:00","files":3}'
    assert entry.reason == "The wrong folder"
    assert before <= entry.at <= timezone.now()
    assert (entry.number, entry.previous) == (1, GENESIS)


def test_each_organization_and_the_system_have_a_chain_from_one(
    acme: Organization, other: Organization, alice: User
) -> None:
    add(acme, "a", "b", actor=alice)
    add(None, "c")
    add(other, "d")
    add(acme, "e")
    add(None, "f")

    assert (numbers(acme), numbers(other), numbers(None)) == ([1, 2, 3], [1], [1, 2])
    entries = list(AuditEntry.objects.filter(organization=acme).order_by("number"))
    assert [entry.previous for entry in entries] == [GENESIS, *(e.hash for e in entries[:2])]
    assert AuditEntry.objects.get(action="c").actor_name == "system"
    assert list(verify_all()) == []
    assert {verify(acme), verify(other), verify(None)} == {None}


@pytest.mark.parametrize("microsecond", [0, 1, 120_000, 999_999])
def test_what_comes_back_from_the_database_has_the_same_hash(
    acme: Organization, alice: User, monkeypatch: pytest.MonkeyPatch, microsecond: int
) -> None:
    moment = datetime(2026, 3, 29, 1, 59, 59, microsecond, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: moment)
    detail = {
        "floats": [1e16, -0.0, 1e-7, 0.1],
        "large": 10**30,
        "nested": {"z": None, "a": [True, {}]},
        "text": "na\u00efve \u0000 \ud800 \U0001f600",
        "when": moment,
    }
    reason = " two\r\nlines\t\u00e9 e\u0301 "
    record(organization=acme, actor=alice, action="job.cancel", detail=detail, reason=reason)

    entry = AuditEntry.objects.get()
    assert (entry.at, entry.reason) == (moment, reason)
    assert entry.digest() == entry.hash
    with timezone.override("Asia/Tokyo"):
        assert AuditEntry.objects.get().digest() == entry.hash
    assert verify(acme) is None


def test_what_the_caller_takes_back_was_never_recorded(acme: Organization) -> None:
    add(acme, "a")
    with transaction.atomic():
        add(acme, "b", "c")
        transaction.set_rollback(True)
    add(acme, "d")

    assert list(AuditEntry.objects.order_by("number").values_list("action", flat=True)) == [
        "a",
        "d",
    ]
    assert numbers(acme) == [1, 2]
    assert verify(acme) is None


@pytest.mark.django_db(transaction=True)
def test_what_cannot_be_recorded_does_not_happen(acme: Organization) -> None:
    """Not even when the caller goes on after the error."""
    with transaction.atomic():
        Organization.objects.create(name="Kept")
        with suppress(ValueError):
            record(organization=acme, actor=None, action="a", detail={"x": float("inf")})
    assert not Organization.objects.filter(name="Kept").exists()


@pytest.mark.parametrize("length", [1, 50])
def test_it_costs_three_queries(
    acme: Organization,
    alice: User,
    length: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    add(acme, *map(str, range(length)))
    with django_assert_num_queries(3):
        record(organization=acme, actor=alice, action="job.cancel", target="job", target_id="1")


@pytest.mark.django_db(transaction=True)
def test_many_at_the_same_moment_make_one_chain_without_gaps(acme: Organization) -> None:
    """The first of all make its row at the same moment, too."""

    def add_some() -> None:
        for number in range(25):
            with transaction.atomic():
                record(organization=acme, actor=None, action="job.cancel", target_id=number)
                if number % 5 == 4:
                    transaction.set_rollback(True)

    together([add_some] * 8)
    assert numbers(acme) == list(range(1, 161))
    assert verify(acme) is None


@pytest.mark.django_db(transaction=True)
def test_eight_threads_with_25_entries_each_make_200(acme: Organization) -> None:
    together([lambda: add(acme, *["job.cancel"] * 25)] * 8)
    assert numbers(acme) == list(range(1, 201))
    assert Chain.objects.get().number == 200
    assert verify(acme) is None


# --- nothing else -------------------------------------------------------------------------------


def test_the_code_cannot_change_an_entry(acme: Organization) -> None:
    add(acme, "a")
    entry = AuditEntry.objects.get()
    before = AuditEntry.objects.values().get()
    entry.action = "b"
    for change in (
        entry.save,
        entry.delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(action="b"),
        lambda: AuditEntry.objects.bulk_update([entry], ["action"]),
        lambda: AuditEntry.objects.bulk_create([entry]),
        lambda: AuditEntry.objects.update_or_create(pk=entry.pk, defaults={"action": "b"}),
    ):
        with pytest.raises(TypeError, match="only added"), transaction.atomic():
            change()
    assert AuditEntry.objects.values().get() == before


def test_an_entry_outlives_its_user_unchanged(acme: Organization, bob: User) -> None:
    add(acme, "a", actor=bob)
    before = AuditEntry.objects.values().get()
    bob.delete()
    assert AuditEntry.objects.values().get() == before
    assert before["actor_name"] == "bob@example.com"
    assert verify(acme) is None


def test_an_entry_outlives_its_organization_unchanged(acme: Organization, bob: User) -> None:
    add(acme, "a", actor=bob)
    before = AuditEntry.objects.values().get()
    pk = acme.pk
    acme.delete()
    assert AuditEntry.objects.values().get() == before
    assert list(verify_all()) == []
    with pytest.raises(ValueError, match="no id"), transaction.atomic():
        add(acme, "b")  # to the log of the system, of all
    rewrite(AuditEntry.objects.get(), reason="x")
    assert list(verify_all()) == [Flaw(str(pk), 1, Problem.CHANGED)]


def test_a_chain_with_entries_is_not_deleted(acme: Organization) -> None:
    add(acme, "a")
    with pytest.raises(models.ProtectedError):
        Chain.objects.get().delete()


# --- what is found ------------------------------------------------------------------------------


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
    missing = 3 if number else 1  # what comes first is not the first
    assert verify(acme) == Flaw(str(acme.pk), missing, Problem.MISSING)


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
    assert verify(acme) == Flaw(str(acme.pk), 2, Problem.CHANGED)


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


@pytest.mark.django_db(transaction=True)
def test_a_head_that_was_taken_away_leaves_entries_uncounted(
    acme: Organization, log: list[AuditEntry]
) -> None:
    with connection.constraint_checks_disabled(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM audit_chain")
        if connection.vendor == "postgresql":
            cursor.execute("SET session_replication_role = DEFAULT")
    assert list(verify_all()) == [Flaw(str(acme.pk), 1, Problem.UNCOUNTED)]
    AuditEntry.objects.filter(pk__in=[entry.pk for entry in log])._raw_delete("default")


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


def test_it_reads_in_chunks_with_as_many_queries_for_any_length(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert verify(acme) is None
        return len(seen)

    add(acme, "a")
    once = queries()
    monkeypatch.setattr("apps.audit.services.CHUNK", 2)
    add(acme, *map(str, range(6)))
    assert queries() == once <= 4
