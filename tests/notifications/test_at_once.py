"""One notification for each job and person, however many end it, run it anew and read at once."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest

from apps.accounts.models import Organization, User
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import recount, requeue_job
from apps.notifications.models import Notification
from apps.notifications.services import mark_all_read, notify
from apps.queue.loop import work_once
from apps.queue.states import State
from tests.batches import check_books, owner_of, submit, together
from tests.concurrency.test_closing import FILES, finish, running_jobs
from tests.jobs.runs import read_next

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("script")]

JOBS = 60
ENDS = (State.SUCCEEDED, State.FAILED)


def test_each_of_many_jobs_that_end_at_once_is_told_once(acme: Organization, alice: User) -> None:
    jobs = running_jobs(acme, JOBS)
    BatchJob.objects.update(created_by=alice)

    def finisher(position: int, half: int) -> Callable[[], None]:
        def work() -> None:
            for number in range(half, JOBS, 2):
                finish(jobs[number][position], ENDS[(number + position) % 2])

        return work

    together([finisher(position, half) for position in range(FILES) for half in range(2)])
    check_books()
    rows = Notification.objects.filter(user=alice)
    assert Counter(row.facts["job"] for row in rows) == {str(f[0].job_id): 1 for f in jobs}
    for row in rows:
        job = BatchJob.objects.get(pk=row.facts["job"])
        told = {state: count for state, count in job.counts.items() if count}
        assert (row.facts["state"], row.facts["counts"]) == (job.state, told)
    assert Notification.objects.shown_to(owner_of(acme)).unread().count() == JOBS


def test_many_who_close_one_job_tell_of_it_once(acme: Organization, alice: User) -> None:
    job = submit(acme, "one")
    read_next()
    Notification.objects.all().delete()
    BatchJob.objects.update(state="running")
    together([partial(recount, job.pk)] * 8)
    assert Notification.objects.filter(user=alice).count() == 1


def test_a_job_that_is_run_anew_while_others_end_has_one_notification(
    acme: Organization, alice: User
) -> None:
    job = submit(acme, "one", "two")
    for run in range(1, 6):
        together([partial(work_once, ["default"])] * 3)
        row = Notification.objects.get(user=alice)
        assert (row.facts["run"], row.facts["state"], row.read_at) == (run, "succeeded", None)
        together(
            [
                partial(requeue_job, actor=owner_of(acme), job=job),
                partial(mark_all_read, Notification.objects.all()),
            ]
        )
    assert BatchFile.objects.filter(job=job, run=6).count() == 2


def test_the_same_thing_told_by_many_at_once_is_one_row_each(
    acme: Organization, alice: User, bob: User
) -> None:
    Notification.objects.all().delete()

    def say(number: int) -> int:
        return notify(
            kind="message",
            key="message:1",
            organization_id=acme.pk,
            users=[alice.pk, bob.pk],
            facts={"title": f"Number {number}", "text": ""},
        )

    together([partial(say, number) for number in range(10)])
    rows = Notification.objects.order_by("user_id")
    assert [row.user_id for row in rows] == sorted([alice.pk, bob.pk])
    assert len({row.told.title for row in rows}) == 1, "one statement tells both"
