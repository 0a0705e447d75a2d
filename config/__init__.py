"""Settings, URL table, and the WSGI and Celery applications. Imported by no app."""

import gc

# Until all apps are loaded (`apps.core.apps`): what is loaded stays, and to look through it again
# and again would be a good part of the time that a process takes to start.
gc.disable()

from config.celery import app as celery_app  # noqa: E402  what it imports is meant by that

__all__ = ["celery_app"]
