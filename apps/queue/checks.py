"""System checks: refuse to start with settings that are known to lose work or wedge a worker."""

from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.utils.module_loading import import_string

from apps.core.checks import SETTINGS

# (setting, the value that it must have, what happens otherwise)
REQUIRED: list[tuple[str, object, str]] = [
    ("CELERY_BROKER_CONNECTION_MAX_RETRIES", None, "the worker gives up on an absent broker"),
    ("CELERY_WORKER_PREFETCH_MULTIPLIER", 1, "a busy slot keeps doorbells from idle ones"),
    ("CELERY_TASK_REJECT_ON_WORKER_LOST", False, "a poison file is redelivered for ever"),
    ("CELERY_WORKER_ENABLE_REMOTE_CONTROL", False, "its pub/sub connection dies silently"),
    (
        "CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS",
        False,
        "a blip of the broker kills running work",
    ),
    ("CELERY_TASK_PUBLISH_RETRY", False, "a web request waits for an absent broker"),
    ("CELERY_RESULT_BACKEND", None, "results leak keys that nobody reads"),
    ("CELERY_ACCEPT_CONTENT", ["json"], "a shared store could run code"),
]
REQUIRED_TRANSPORT = ("socket_timeout", "socket_connect_timeout", "health_check_interval")


@register(SETTINGS)
def check_celery(**_: Any) -> list[Error]:
    """queue.E001 a Celery setting, E002 a transport option, E003 a lease that cannot be kept."""
    errors = [
        Error(f"{name} must be {wanted!r}: otherwise {why}.", id="queue.E001")
        for name, wanted, why in REQUIRED
        if getattr(settings, name) != wanted
    ]
    options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    if options.get("ack_emulation") is not False:
        errors.append(
            Error("ack_emulation must be False: a disconnect ends the worker.", id="queue.E002")
        )
    errors += [
        Error(f"{name} must be set: a half-open connection wedges the worker.", id="queue.E002")
        for name in REQUIRED_TRANSPORT
        if not options.get(name)
    ]
    if settings.LEASE_SECONDS < 3 * settings.LEASE_RENEW_SECONDS:
        errors.append(
            Error(
                "LEASE_SECONDS must be at least three times LEASE_RENEW_SECONDS: "
                "one late renewal would lose the lease.",
                id="queue.E003",
            )
        )
    return errors


@register("queue")
def check_work_kinds(**_: Any) -> list[Error]:
    """queue.E004: a kind of work whose function cannot be imported."""
    errors = []
    for kind, path in settings.WORK_KINDS.items():
        try:
            import_string(path)
        except ImportError as error:
            errors.append(Error(f"WORK_KINDS[{kind!r}]: {error}.", id="queue.E004"))
    return errors
