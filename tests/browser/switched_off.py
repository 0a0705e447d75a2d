"""A job that waits since batches were switched off, and one that was cancelled before: made by
`manage.py shell` in the environment of a service that has everything switched off."""

import json

from django.test import override_settings

from apps.accounts.models import Organization
from apps.jobs.services import cancel_job
from tests.batches import owner_of, submit


def make() -> None:
    """Prints, as JSON, the ids of the two."""
    [home] = Organization.objects.all()
    with override_settings(ENABLE_BATCH=True):
        waits, gone = submit(home, "Harbour dues"), submit(home, "Old tide tables")
        cancel_job(actor=owner_of(home), job=gone)
    print(json.dumps({"waits": str(waits.pk), "cancelled": str(gone.pk)}))  # noqa: T201
