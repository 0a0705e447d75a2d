"""Counting what ended: the sums are the truth, whatever was missed, late or done twice."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from apps.accounts.models import Organization
from apps.jobs.models import BatchFile, FileAttempt
from apps.queue import throughput
from apps.queue.models import Throughput
from apps.queue.throughput import roll_up
from tests.batches import together
from tests.queue.volumes import attempts, files

MINUTE, HOUR = Throughput.Size.MINUTE, Throughput.Size.HOUR
OUTCOMES = ("succeeded", "retry", "failed", "quarantined", "cancelled")


@pytest.fixture
def file(acme: Organization) -> BatchFile:
    return files(acme, 1)[0]


def ago(**span: float) -> datetime:
    return timezone.now() - timedelta(**span)


def start_of(size: Throughput.Size, moment: datetime) -> datetime:
    moment = moment.astimezone(UTC).replace(second=0, microsecond=0)
    return moment if size == MINUTE else moment.replace(minute=0)


def by_hand(size: Throughput.Size) -> dict[tuple[datetime, str, str], tuple[int, float]]:
    """What every attempt, looked at one by one, makes of each start, lane and outcome."""
    counts: Counter[tuple[datetime, str, str]] = Counter()
    seconds: Counter[tuple[datetime, str, str]] = Counter()
    for each in FileAttempt.objects.exclude(ended_at=None):
        key = (start_of(size, each.ended_at), each.lane, each.outcome)
        counts[key] += 1
        seconds[key] += (each.ended_at - each.started_at).total_seconds()  # type: ignore[assignment]
    return {key: (counts[key], pytest.approx(seconds[key], abs=0.01)) for key in counts}


def counted(size: Throughput.Size) -> dict[tuple[datetime, str, str], tuple[int, float]]:
    rows = Throughput.objects.filter(size=size)
    return {(row.start, row.lane, row.outcome): (row.count, row.seconds) for row in rows}


def total(size: Throughput.Size = HOUR) -> int:
    return int(Throughput.objects.filter(size=size).aggregate(Sum("count"))["count__sum"] or 0)


def test_sums_are_those_of_a_count_by_hand(acme: Organization) -> None:
    chance = random.Random(5)
    for lane in ("default", "ocr"):
        [file] = files(acme, 1, lane=lane)
        for outcome in OUTCOMES:
            ends = [ago(seconds=chance.uniform(0, 40 * 3600)) for _ in range(40)]
            attempts(file, *ends, outcome=outcome, seconds=chance.uniform(0.1, 90))
    files(acme, 2, "running")  # their attempts have not ended
    roll_up()
    assert counted(MINUTE) == by_hand(MINUTE)
    assert counted(HOUR) == by_hand(HOUR)
    assert total(MINUTE) == total(HOUR) == 400


def test_nothing_ended_is_nothing_counted(acme: Organization) -> None:
    files(acme, 1)
    roll_up()
    assert not Throughput.objects.exists()


def test_what_ends_between_is_added_and_a_round_more_changes_nothing(file: BatchFile) -> None:
    attempts(file, ago(seconds=1))
    roll_up()
    attempts(file, ago(seconds=0.5), ago(seconds=0.2))
    roll_up()
    before = counted(MINUTE), counted(HOUR)
    roll_up()
    assert (counted(MINUTE), counted(HOUR)) == before == (by_hand(MINUTE), by_hand(HOUR))
    assert total() == 3


def test_what_was_committed_late_is_counted(file: BatchFile) -> None:
    attempts(file, ago(seconds=5))
    roll_up()
    attempts(file, ago(minutes=9))
    roll_up()
    assert counted(MINUTE) == by_hand(MINUTE)
    assert counted(HOUR) == by_hand(HOUR)


def test_an_outage_is_caught_up_also_one_with_long_silences(file: BatchFile) -> None:
    attempts(file, ago(days=60), ago(days=60, minutes=3))
    roll_up()
    attempts(file, ago(days=40), ago(days=12), ago(hours=30), ago(minutes=3))
    roll_up()
    assert counted(HOUR) == by_hand(HOUR)
    assert total(MINUTE) == 2  # those of the last two days


def test_a_round_leaves_the_rest_to_the_next(
    file: BatchFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts(file, *(ago(hours=number) for number in range(1, 7)))
    moments = iter(range(100))
    monkeypatch.setattr(throughput, "time", SimpleNamespace(monotonic=lambda: next(moments)))
    roll_up()
    assert 0 < total() < 6
    monkeypatch.undo()
    roll_up()
    assert total() == 6
    assert counted(MINUTE) == by_hand(MINUTE)


def test_counts_stay_when_their_attempts_are_deleted(file: BatchFile) -> None:
    attempts(file, ago(seconds=3), ago(seconds=2))
    roll_up()
    FileAttempt.objects.filter(number=1).delete()
    roll_up()
    assert total() == total(MINUTE) == 2


def test_what_lies_ahead_of_the_clock_holds_up_nothing(file: BatchFile) -> None:
    attempts(file, ago(hours=-3))
    roll_up()
    attempts(file, ago(seconds=1))
    roll_up()
    assert total() == 1


def test_minutes_go_after_two_days_and_hours_after_ninety(file: BatchFile) -> None:
    old = [
        (MINUTE, timedelta(hours=49), False),
        (MINUTE, timedelta(hours=47), True),
        (HOUR, timedelta(days=91), False),
        (HOUR, timedelta(days=89), True),
    ]
    for size, age, _ in old:
        Throughput.objects.create(
            size=size,
            start=timezone.now() - age,
            attempts_of="jobs.fileattempt",
            lane="default",
            outcome="succeeded",
            count=1,
            seconds=1,
        )
    roll_up()
    for size, age, stays in old:
        aged = Throughput.objects.filter(size=size, start__lte=timezone.now() - age)
        assert aged.exists() is stays, (size, age)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_count_as_one_does(acme: Organization) -> None:
    for lane in ("default", "ocr", "heavy"):
        [file] = files(acme, 1, lane=lane)
        for outcome in OUTCOMES:
            attempts(file, *(ago(minutes=7 * n) for n in range(30)), outcome=outcome)
    together([roll_up] * 4)
    assert counted(MINUTE) == by_hand(MINUTE)
    assert counted(HOUR) == by_hand(HOUR)
    assert connection.vendor in throughput.TOOK
