"""The parts of an installation that can be switched off, and what happens then."""

from dataclasses import dataclass

from django.conf import settings


@dataclass(frozen=True)
class Flag:
    """A setting that begins with ENABLE_. `part` is what it is about, `off` what happens while it
    is false, `code` the error code that is answered then, "" where nothing is refused."""

    name: str
    part: str
    off: str
    code: str = ""

    @property
    def is_on(self) -> bool:
        return bool(getattr(settings, self.name))


FLAGS = (
    Flag(
        "ENABLE_BATCH",
        "Taking files in and working on them",
        "Submitting, uploading in parts and running again are refused; what is queued waits, what "
        "runs ends; jobs, results and exports are there to be read. All goes on once it is on.",
        "batch.off",
    ),
    Flag(
        "ENABLE_CACHING",
        "Keeping what was computed",
        "Everything is computed each time. Invalidate everything before it is on again.",
    ),
    Flag(
        "ENABLE_METRICS",
        "Counting for Prometheus",
        "Nothing is counted, and /metrics is refused.",
        "metrics.off",
    ),
    Flag(
        "ENABLE_NOTIFICATIONS",
        "Telling people of what happened, in the bell and by mail",
        "Nobody is told anything, and what happens meanwhile is not told later. The bell is gone.",
        "notifications.disabled",
    ),
    Flag(
        "ENABLE_RATE_LIMITING",
        "Limits on how much may be asked for",
        "Nothing is counted and nothing refused.",
    ),
    Flag(
        "ENABLE_SIGNUP",
        "Making an account by oneself",
        "There is nothing at /sign-up; people are invited, or made by an operator.",
        "request.not_found",
    ),
    Flag(
        "ENABLE_WEBHOOKS",
        "Sending what happened to programs of others",
        "Endpoints can be neither seen nor changed; what happens is kept, and sent once it is on "
        "again.",
        "webhook.off",
    ),
)
