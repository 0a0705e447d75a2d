"""Events of jobs, as they happen: `text/event-stream` for as long as somebody reads."""

import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from uuid import UUID

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.accounts.again import actor_again
from apps.core.errors import DocmillError, NotFound
from apps.core.filters import refuse_unknown_parameters
from apps.core.negotiation import OneMediaType
from apps.core.pool import give_back
from apps.core.schema import refuses
from apps.jobs.errors import NotStreamed, TooManyStreams
from apps.jobs.events import STILL, Watch, opening
from apps.jobs.hub import Hub, hub
from apps.jobs.reading import job_of
from apps.jobs.states import CLOSED

CONTENT_TYPE = "text/event-stream"
RETRY_SECONDS = 2
"""When a reader comes back whose stream has ended."""
STILL_SECONDS = 15.0
"""How long it is silent at most. The pages wait five seconds longer (static/web/app.js)."""

LAST_EVENT_ID = OpenApiParameter(
    "Last-Event-ID",
    str,
    OpenApiParameter.HEADER,
    description="The id of the last event you had: what came since is told at once.",
)


class EventSerializer(serializers.Serializer[None]):
    """One event of a stream."""

    id = serializers.CharField(required=False, help_text="What to come back with after the end.")
    event = serializers.ChoiceField(["job", "jobs", "gone", "still"])
    data = serializers.CharField(help_text="JSON.")  # type: ignore[assignment]  # its name in HTML
    retry = serializers.IntegerField(required=False, help_text="Milliseconds.")


@dataclass(frozen=True)
class Pace:
    """Of one stream, in seconds: how long it is silent, how often its reader is looked at, and
    how long it lasts."""

    still: float
    recheck: float
    life: float

    @classmethod
    def from_settings(cls) -> "Pace":
        # Not all at once: those that began together, as after a deploy, come back one by one.
        life = settings.LIVE_STREAM_SECONDS * random.uniform(2 / 3, 1)  # noqa: S311
        return cls(STILL_SECONDS, settings.LIVE_RECHECK_SECONDS, life)


class Events(APIView):
    """What both streams have in common."""

    limiters = ("live",)
    content_negotiation_class = OneMediaType

    def stream(
        self, request: Request, watch: Watch, may_read: Callable[[], object]
    ) -> HttpResponseBase:
        """The stream of `watch`, which ends once `may_read` raises.

        Raises NotStreamed where the web server has threads alone, or TooManyStreams.
        """
        if request.method == "HEAD":
            return HttpResponse(content_type=CONTENT_TYPE, headers=HEADERS)
        if not isinstance(request._request, ASGIRequest):
            raise NotStreamed("Poll the job instead; its revision says when it has changed.")
        if not hub.admit(watch, most=settings.LIVE_STREAMS_PER_USER):
            raise TooManyStreams(settings.LIVE_STREAMS_PER_USER)
        told = stream_of(watch, may_read, pace=Pace.from_settings(), hub=hub)
        return StreamingHttpResponse(told, content_type=CONTENT_TYPE, headers=HEADERS)


HEADERS = {
    "Cache-Control": "no-store, no-transform",  # whoever compresses it would keep it back as well
    "X-Accel-Buffering": "no",
}


class JobEvents(Events):
    """How far a job is, told whenever that changes.

        curl -N -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/$JOB/events

    The data of each event `job` has the counts, progress and eta_seconds that the job itself has,
    and its revision as the id. While nothing changes, `still` comes every 15 seconds. The stream
    ends with the job; before, it ends every 15 minutes or so: come back with Last-Event-ID.
    """

    name = "Events of a job"

    @extend_schema(
        operation_id="job_events",
        parameters=[LAST_EVENT_ID],
        responses={(200, CONTENT_TYPE): EventSerializer, 204: None},
    )
    @refuses(NotStreamed, TooManyStreams)
    def get(self, request: Request, job_id: UUID) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        job = job_of(actor, job_id)
        watch = Watch(actor.user.pk, job.organization_id, job.pk, _last_event_id(request))
        if watch.revision > job.revision:  # no event had it: of all that comes nothing would be new
            watch.known = ""
        if job.state in CLOSED and watch.revision >= job.revision:
            return HttpResponse(status=204)  # a browser does not come back then
        return self.stream(request, watch, lambda: job_of(actor_again(request), job_id))


class JobListEvents(Events):
    """What changes in the list of jobs of your organization.

        curl -N -H "Authorization: Bearer $KEY" $DOCMILL/api/batch/jobs/events

    The first event `jobs` has those that are open or ended in the last 10 seconds, the newest 100;
    those that follow have what has changed, came, or ended, and in `gone` the ids of what was
    deleted. Where `more` is true there was more than fits: read the list.
    """

    name = "Events of the list of jobs"

    @extend_schema(
        operation_id="job_list_events",
        parameters=[LAST_EVENT_ID],
        responses={(200, CONTENT_TYPE): EventSerializer},
    )
    @refuses(NotStreamed, TooManyStreams)
    def get(self, request: Request) -> HttpResponseBase:
        refuse_unknown_parameters(request)
        actor = Actor.of_request(request)
        actor.require("read", "jobs")
        home = actor.organization.pk
        watch = Watch(actor.user.pk, home, known=_last_event_id(request))
        return self.stream(request, watch, lambda: _require_list(actor_again(request), home))


def _require_list(actor: Actor, organization_id: UUID) -> None:
    if actor.organization.pk != organization_id:
        raise NotFound("You have gone to another organization.")
    actor.require("read", "jobs")


def _last_event_id(request: Request) -> str:
    return request.headers.get("Last-Event-ID", "")[:32]


async def stream_of(
    watch: Watch, may_read: Callable[[], object], *, pace: Pace, hub: Hub
) -> AsyncIterator[bytes]:
    """All that its reader gets, until they or we end it."""
    hub.join(watch)
    now = time.monotonic()
    end, check, silent_until = now + pace.life, now + pace.recheck, now + pace.still
    try:
        yield opening(RETRY_SECONDS)
        while not watch.is_over and now < end:
            await watch.wait(min(silent_until, check, end) - now)
            now = time.monotonic()
            if now >= check:
                check = now + pace.recheck
                if not await sync_to_async(_is_allowed)(may_read):
                    return
            told = watch.take() or (STILL if now >= silent_until else b"")
            if told:
                silent_until = now + pace.still
                yield told
    finally:
        hub.leave(watch)


def _is_allowed(may_read: Callable[[], object]) -> bool:
    close_old_connections()
    try:
        may_read()
    except (APIException, DocmillError, DatabaseError, InterfaceError):
        return False
    finally:
        give_back()  # the next stream of this thread may be long in coming
    return True
