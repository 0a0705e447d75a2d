"""The door into this installation: its database and its storage, without a web server."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.db.models import QuerySet
from rest_framework.utils.encoders import JSONEncoder

from apps.accounts.actor import Actor
from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.core import problems
from apps.core.errors import DocmillError, NotFound
from apps.jobs import storage
from apps.jobs.api.serializers import AcceptedSerializer, FileSerializer, JobSerializer
from apps.jobs.changes import read_change, read_reason
from apps.jobs.cli.doors import Away, Json, Order, Refused
from apps.jobs.contents import Contents
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.operations import lane_of
from apps.jobs.services import (
    cancel_job,
    discard_job,
    keep_job,
    pause_job,
    prioritize_job,
    requeue_job,
    resume_job,
    retry_job,
    submit_job,
)
from apps.jobs.submission import read_submission
from apps.jobs.upload import receive_paths
from apps.queue.doorbell import live_slots

POLL_SECONDS = 0.5
VERBS = {
    "cancel": cancel_job,
    "discard": discard_job,
    "requeue": requeue_job,
    "resume": resume_job,
    "retry": retry_job,
}


class NoSuchUser(Exception):
    """Nobody can be acted for; the text says what to give."""


class LocalDoor:
    """Acts as `user`, in `organization` or else in their personal one; without a user it sees
    every job, and can submit none. URLs are paths: nobody knows the address of a web server.
    """

    def __init__(
        self, user: User | None, *, organization: Organization | None = None, address: str = ""
    ) -> None:
        self.address = address
        self._user = user
        self._organization = organization

    def submit(self, paths: Sequence[Path], order: Order) -> Json:
        with _told(), storage.incoming() as directory:
            submission = read_submission(order.fields)
            storage.check_room(sum(path.stat().st_size for path in paths))
            files = list(receive_paths(list(paths), directory))
            job = submit_job(
                actor=self._actor(self._organization), submission=submission, files=files
            )
            accepted: Json = _plain(AcceptedSerializer(job).data)
            return accepted

    def job(self, job_id: UUID | str) -> Json:
        with _told():
            job: Json = _plain(JobSerializer(self._find(job_id)).data)
            return job

    def files(self, job_id: UUID | str) -> list[Json]:
        with _told():
            files = BatchFile.objects.filter(job=self._find(job_id)).select_related("job", "result")
            rows: list[Json] = _plain(FileSerializer(files.order_by("position"), many=True).data)
            return rows

    def jobs(self, states: Sequence[str], limit: int) -> list[Json]:
        with _told():
            found = self._visible().filter(state__in=states) if states else self._visible()
            page = list(found.order_by("-created_at", "-id")[:limit])
            rows: list[Json] = _plain(JobSerializer(page, many=True).data)
            return rows

    def act(self, job_id: UUID | str, verb: str, fields: Json) -> Json:
        with _told():
            job = self._find(job_id)
            actor = self._actor(job.organization)
            done: Json = _plain(JobSerializer(_act(actor, job, verb, fields)).data)
            return done

    def fetch(self, job_id: UUID | str, made: str, sink: BinaryIO) -> None:
        with _told():
            for chunk in FORMATS[made].write(Contents.of([self._find(job_id)])):
                sink.write(chunk)

    def has_worker(self, job: Json) -> bool:
        with _told():
            return live_slots(lane_of(job["operation"])) > 0

    def pause_seconds(self, waited_seconds: float, jobs: int) -> float:
        return POLL_SECONDS

    def close(self) -> None:
        """Nothing is held: the connection is Django's."""

    def _visible(self) -> QuerySet[BatchJob]:
        if self._user is None:
            return BatchJob.objects.all()
        return BatchJob.objects.visible_to(self._user)

    def _find(self, job_id: UUID | str) -> BatchJob:
        job = self._visible().filter(pk=job_id).first()
        if job is None:
            raise NotFound("There is no such job.")
        return job

    def _actor(self, organization: Organization | None) -> Actor:
        """The user in that organization, or in their personal one."""
        memberships = Membership.objects.filter(user=self._user).select_related("organization")
        if organization is not None:
            membership = memberships.get(organization=organization)
        else:
            membership = memberships.get(organization__personal_of=self._user)
        assert self._user is not None
        return Actor(
            user=self._user, organization=membership.organization, role=Role(membership.role)
        )


def _act(actor: Actor, job: BatchJob, verb: str, fields: Json) -> BatchJob:
    if verb == "pause":
        return pause_job(actor=actor, job=job, reason=read_reason(fields))
    if verb:
        return VERBS[verb](actor=actor, job=job)
    change = read_change(fields, known=frozenset({"priority", "kept"}))
    if change.priority is not None:
        job = prioritize_job(actor=actor, job=job, priority=change.priority)
    return job if change.kept is None else keep_job(actor=actor, job=job, kept=change.kept)


def find_user(email: str | None) -> User:
    """The active user with that address, or the only active administrator when none is given.

    Raises NoSuchUser, or Away when the database does not answer.
    """
    with _told():
        active = User.objects.filter(is_active=True)
        if email is not None:
            user = active.filter(email=User.objects.normalize_email(email)).first()
            if user is None:
                raise NoSuchUser(f"There is no active user {email}.")
            return user
        admins = list(active.filter(is_superuser=True)[:2])
        if not admins:
            raise NoSuchUser("Say for whom: --user EMAIL. There is no administrator.")
        if len(admins) > 1:
            raise NoSuchUser("Say for whom: --user EMAIL. There are several administrators.")
        return admins[0]


def find_organization(user: User, organization_id: UUID) -> Organization:
    """The organization, if `user` is a member of it. Raises NoSuchUser or Away."""
    with _told():
        found = Organization.objects.visible_to(user).filter(pk=organization_id).first()
        if found is None:
            raise NoSuchUser(f"{user.email} is not a member of such an organization.")
        return found


@contextmanager
def _told() -> Iterator[None]:
    """Turns what can go wrong inside into what a door raises."""
    try:
        yield
    except DocmillError as error:
        raise Refused(problems.body(error)) from error
    except (OperationalError, InterfaceError, ProgrammingError) as error:
        connection.close_if_unusable_or_obsolete()
        reason = str(error).strip().rstrip(".")
        raise Away(f"The database does not answer, or was never migrated ({reason})") from error


def _plain(data: Any) -> Any:
    """`data` as a client would read it from the API's JSON."""
    return json.loads(json.dumps(data, cls=JSONEncoder))
