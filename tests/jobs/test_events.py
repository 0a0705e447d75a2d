"""What a stream tells, what it keeps for a slow reader, and what a look at the database finds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from apps.accounts.errors import Forbidden
from apps.accounts.models import Organization
from apps.jobs.api.events import Pace, stream_of
from apps.jobs.events import MAX_TOLD, STILL, Look, Told, Watch
from apps.jobs.hub import Looker
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.news import News
from apps.jobs.services import delete_job, keep_job, pause_job
from tests.batches import claimed, owner_of, submit
from tests.jobs.listening import QuietHub
from tests.jobs.runs import read_next

ORGANIZATION = UUID(int=7)
ACME_USER = 1


def told(job_id: UUID, revision: int, *, is_closed: bool = False) -> Told:
    data = json.dumps({"id": str(job_id), "revision": revision})
    return Told(job_id, ORGANIZATION, revision, is_closed, data)


def parsed(text: bytes) -> dict[str, Any]:
    fields = dict(line.split(": ", 1) for line in text.decode().strip().splitlines())
    return {**fields, "data": json.loads(fields["data"])}


class Reader:
    """A watch, told by hand."""

    def __init__(self, job_id: UUID | None = None, known: str = "") -> None:
        self.watch = Watch(ACME_USER, ORGANIZATION, job_id, known)

    def get(self, *looks: Look) -> list[dict[str, Any]]:
        """What it has to tell after all of `looks`, in one go."""

        async def take() -> bytes:
            self.watch.begin()
            for look in looks:
                self.watch.put(look)
            return self.watch.take()

        text = asyncio.run(take())
        return [parsed(text)] if text else []


# --- one stream -----------------------------------------------------------------------------------


@pytest.mark.once
def test_a_slow_reader_gets_the_latest_and_nothing_twice() -> None:
    job_id = uuid4()
    reader = Reader(job_id, "3")
    [event] = reader.get(*(Look([told(job_id, revision)]) for revision in (4, 5, 9)))
    assert (event["event"], event["id"], event["data"]["revision"]) == ("job", "9", 9)
    assert reader.get(Look([told(job_id, 9)]), Look([told(job_id, 8)])) == []
    assert not reader.watch.is_over


@pytest.mark.once
@pytest.mark.parametrize("known", ["", "x", "-1", "9" * 30, "²", "3"])
def test_any_last_id_will_do(known: str) -> None:
    job_id = uuid4()
    assert len(Reader(job_id, known).get(Look([told(job_id, 4)]))) == (known != "9" * 30)


@pytest.mark.once
def test_the_end_of_a_job_and_its_deletion_end_its_stream() -> None:
    job_id = uuid4()
    reader = Reader(job_id)
    assert len(reader.get(Look([told(job_id, 4, is_closed=True)]))) == 1
    assert reader.watch.is_over
    reader = Reader(job_id, "4")
    [event] = reader.get(Look(gone=[job_id]))
    assert (event["event"], event["data"]) == ("gone", {"id": str(job_id)})
    assert reader.watch.is_over


@pytest.mark.once
def test_of_a_long_list_a_part_is_told_and_that_there_is_more() -> None:
    ids = [uuid4() for _ in range(MAX_TOLD + 50)]
    reader = Reader()
    looks = [Look([told(each, revision)], mark="m") for revision in (1, 2) for each in ids]
    [event] = reader.get(*looks)
    assert len(event["data"]["jobs"]) == MAX_TOLD
    assert {job["revision"] for job in event["data"]["jobs"]} == {2}
    assert event["data"]["more"] is True
    [event] = reader.get(Look([told(ids[0], 3)], mark="n"))
    assert (event["id"], event["data"]["more"], len(event["data"]["jobs"])) == ("n", False, 1)


@pytest.mark.once
def test_a_list_that_is_as_it_was_is_not_told_again() -> None:
    assert Reader(known="m").get(Look([told(uuid4(), 1)], mark="m", is_first=True)) == []
    assert Reader(known="old").get(Look([told(uuid4(), 1)], mark="m", is_first=True))
    # Whoever knows what is open may have missed what came and ended meanwhile. A first event that
    # lacked what is open would say that it has ended.
    both = [told(uuid4(), 1), told(uuid4(), 3, is_closed=True)]
    [event] = Reader(known="m").get(Look(both, mark="m", is_first=True))
    assert [job["id"] for job in event["data"]["jobs"]] == [str(job.job_id) for job in both]
    # Later looks bring what has changed, also where that is not what the list is known by.
    assert Reader(known="m").get(Look([told(uuid4(), 1)], mark="m"))


QUICK = Pace(still=0.05, recheck=10, life=10)


def heard(
    pace: Pace, may_read: Callable[[], object] = lambda: None, *, most: int = 6
) -> list[bytes]:
    """What comes of a stream of which nothing changes, up to so much."""
    hub = QuietHub()

    async def read() -> list[bytes]:
        watch = Watch(ACME_USER, ORGANIZATION)
        assert hub.admit(watch, most=1)
        found = []
        stream: AsyncIterator[bytes] = stream_of(watch, may_read, pace=pace, hub=hub)
        async for each in stream:
            found.append(each)
            assert hub._watches == {watch}
            if len(found) == most:
                await stream.aclose()  # type: ignore[attr-defined]
                break
        assert not hub._watches
        assert hub.admit(Watch(ACME_USER, ORGANIZATION), most=1), "its place is free again"
        return found

    return asyncio.run(asyncio.wait_for(read(), 10))


@pytest.mark.once
def test_while_nothing_changes_it_says_that_it_is_still_there() -> None:
    first, *rest = heard(QUICK)
    assert first == b"retry: 2000\n\n" + STILL
    assert rest == [STILL] * 5


@pytest.mark.once
def test_looking_at_its_reader_often_keeps_it_no_more_silent() -> None:
    assert len(heard(Pace(still=0.05, recheck=0.01, life=10))) == 6


@pytest.mark.once
def test_it_ends_after_its_time() -> None:
    assert 2 <= len(heard(Pace(still=0.05, recheck=10, life=0.2), most=50)) <= 5


@pytest.mark.once
def test_it_ends_when_its_reader_may_read_no_more() -> None:
    def may_read() -> None:
        raise Forbidden("No.")

    assert len(heard(Pace(still=10, recheck=0.05, life=10), may_read)) == 1


@pytest.mark.once
def test_only_so_many_for_one_user() -> None:
    hub = QuietHub()
    watches = [Watch(1, ORGANIZATION) for _ in range(3)]
    assert all(hub.admit(watch, most=3) for watch in watches)
    assert not hub.admit(Watch(1, ORGANIZATION), most=3)
    assert hub.admit(Watch(2, ORGANIZATION), most=3)
    del watches[0]  # a stream that nobody began to read
    watch = Watch(1, ORGANIZATION)
    assert hub.admit(watch, most=3)
    hub.leave(watch)
    assert hub.admit(Watch(1, ORGANIZATION), most=3)


# --- a look at the database -----------------------------------------------------------------------


class Watching:
    """Somebody's look, again and again."""

    def __init__(self, *watches: Watch) -> None:
        self.looker = Looker()
        self.watches = watches

    def look(self, *said: News) -> dict[Watch, Look]:
        found = dict(self.looker.look(self.watches, said))
        return {watch: look for watch, look in found.items() if look.jobs or look.gone}

    def numbers(self, watch: Watch, *said: News) -> list[dict[str, Any]]:
        """The data of all jobs that `watch` is told of."""
        look = self.look(*said).get(watch)
        return [json.loads(job.data) for job in look.jobs] if look else []


def watch_of(job: BatchJob) -> Watch:
    return Watch(ACME_USER, job.organization_id, job.pk)


def list_of(organization: Organization) -> Watch:
    return Watch(ACME_USER, organization.pk)


def shown(api: APIClient, job: BatchJob) -> dict[str, Any]:
    """What the API says of the job, as far as events do."""
    names = ("id", "state", "run", "revision", "counts", "progress", "eta_seconds")
    answer = api.get(f"/api/batch/jobs/{job.pk}").json()
    return {name: answer[name] for name in names}


def test_events_tell_the_numbers_that_the_api_tells(
    alice_api: APIClient, acme: Organization
) -> None:
    job = submit(acme, "one", "two", "three")
    watch, of_list = watch_of(job), list_of(acme)
    watching = Watching(watch, of_list)
    assert watching.numbers(watch) == [shown(alice_api, job)]
    before = 0.0
    for step in (read_next, claimed, lambda: pause_job(actor=owner_of(acme), job=job), read_last):
        step()
        looks = watching.look()
        for each in (watch, of_list):
            [data] = [json.loads(told.data) for told in looks[each].jobs]
            expected = shown(alice_api, job)
            # Time goes by between the two.
            assert data.pop("eta_seconds") == pytest.approx(expected.pop("eta_seconds"), abs=1)
            assert data == expected
        assert data["progress"] >= before
        before = data["progress"]


def read_last() -> None:
    BatchFile.objects.filter(state="running").update(progress=0.9)
    BatchJob.objects.update(revision=100)


def test_while_nothing_changes_a_look_is_one_query(acme: Organization, other: Organization) -> None:
    jobs = [submit(acme, "one") for _ in range(5)] + [submit(other, "two")]
    watching = Watching(*map(watch_of, jobs), list_of(acme), list_of(other))
    assert len(watching.look()) == 8
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert watching.look() == {}
    assert len(queries) == 1
    read_next()
    with CaptureQueriesContext(connection) as queries:
        assert len(watching.look()) == 2
    assert len(queries) <= 4
    with CaptureQueriesContext(connection) as queries:
        assert Watching().look() == {}
    assert not queries


def test_who_comes_later_is_told_at_once_and_nobody_else(acme: Organization) -> None:
    job = submit(acme, "one")
    early, early_list = watch_of(job), list_of(acme)
    watching = Watching(early, early_list)
    assert set(watching.look()) == {early, early_list}
    late, late_list = watch_of(job), list_of(acme)
    watching.watches = (early, early_list, late, late_list)
    looks = watching.look()
    assert set(looks) - {early} == {late, late_list}  # `early` sees that it knows the revision


def test_a_list_hears_of_its_own_organization_only(acme: Organization, other: Organization) -> None:
    of_acme, of_other = list_of(acme), list_of(other)
    watching = Watching(of_acme, of_other)
    assert watching.look() == {}
    job = submit(acme, "one")
    said = News(job.pk)
    assert [each["id"] for each in watching.numbers(of_acme, said)] == [str(job.pk)]
    read_next()
    looks = watching.look(said)
    assert set(looks) == {of_acme}
    assert json.loads(looks[of_acme].jobs[0].data)["state"] == "succeeded"
    keep_job(actor=owner_of(acme), job=job, kept=True)
    BatchJob.objects.update(finished_at=timezone.now() - timedelta(hours=1))
    watching.look()
    assert set(watching.look(said)) == {of_acme}
    delete_job(actor=owner_of(acme), job=job)
    looks = watching.look(News(job.pk, acme.pk))
    assert {watch: list(look.gone) for watch, look in looks.items()} == {of_acme: [job.pk]}


def test_what_ended_before_anybody_looked_is_told_without_a_word(acme: Organization) -> None:
    of_list = list_of(acme)
    watching = Watching(of_list)
    watching.look()
    job = submit(acme, "one")
    read_next()
    assert [each["id"] for each in watching.numbers(of_list)] == [str(job.pk)]
    assert watching.look() == {}


def test_what_ended_just_before_the_first_look_is_told(acme: Organization) -> None:
    submit(acme, "one")
    read_next()
    BatchJob.objects.update(finished_at=timezone.now() - timedelta(hours=1))
    early, late = list_of(acme), list_of(acme)
    watching = Watching(early)
    watching.look()
    job = submit(acme, "two")
    read_next()
    watching.look()
    watching.watches = (early, late)
    looks = watching.look()
    assert set(looks) == {late}
    [data] = [json.loads(each.data) for each in looks[late].jobs]
    assert (data["id"], data["state"]) == (str(job.pk), "succeeded")


def test_a_job_that_was_deleted_is_gone(acme: Organization) -> None:
    job = submit(acme, "one")
    watch = watch_of(job)
    watching = Watching(watch)
    watching.look()
    read_next()
    watching.look()
    delete_job(actor=owner_of(acme), job=job)
    assert list(watching.look()[watch].gone) == [job.pk]


def test_many_that_have_just_ended_do_not_push_out_what_is_open(acme: Organization) -> None:
    still_open = submit(acme, "one")
    ended = {"state": "succeeded", "finished_at": timezone.now()}
    columns = {"organization": acme, "operation": "extract", "total": 1, **ended}
    rest = [BatchJob(**columns) for _ in range(MAX_TOLD)]
    BatchJob.objects.bulk_create(rest)
    of_list = list_of(acme)
    assert str(still_open.pk) in {each["id"] for each in Watching(of_list).numbers(of_list)}


def test_of_many_open_jobs_the_newest_are_told_first(acme: Organization) -> None:
    first = submit(acme, "one")
    rest = [BatchJob(organization=acme, operation="extract", total=1) for _ in range(MAX_TOLD)]
    BatchJob.objects.bulk_create(rest)
    of_list = list_of(acme)
    watching = Watching(of_list)
    ids = {each["id"] for each in watching.numbers(of_list)}
    assert ids == {str(job.pk) for job in rest}
    read_next()
    assert [each["id"] for each in watching.numbers(of_list)] == [str(first.pk)]
