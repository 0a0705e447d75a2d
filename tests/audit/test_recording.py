"""Entries are added one after the other, and nothing else is done to them."""

import uuid
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from django.db import models, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.accounts.models import Organization, User
from apps.audit.chain import GENESIS, Flaw, Problem
from apps.audit.models import AuditEntry, Chain
from apps.audit.services import record
from apps.audit.verifying import verify, verify_all
from tests.audit.entries import add, numbers, rewrite
from tests.batches import together

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
