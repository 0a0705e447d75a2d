"""The settings, with a piece of recurring work that never ends."""

from config import settings

globals().update({name: value for name, value in vars(settings).items() if name.isupper()})

CELERY_BEAT_SCHEDULE = settings.CELERY_BEAT_SCHEDULE | {
    "remove_orphans": settings.CELERY_BEAT_SCHEDULE["remove_orphans"]
    | {"task": "tests.queue.slow.sleep_for_ever"}
}
