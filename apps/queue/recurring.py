"""Recurring work, as CELERY_BEAT_SCHEDULE in the settings has it."""

from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings


@dataclass(frozen=True)
class Recurring:
    """`task` is the dotted path of a function without arguments, which may run twice at once;
    `label` and `does` are for people."""

    name: str
    task: str
    every: timedelta
    label: str
    does: str


def recurring() -> dict[str, Recurring]:
    """Every piece of recurring work by its name, in the order of the settings."""
    return {
        name: Recurring(
            name=name,
            task=entry["task"],
            every=timedelta(seconds=entry["schedule"]),
            **entry["options"],
        )
        for name, entry in settings.CELERY_BEAT_SCHEDULE.items()
    }
