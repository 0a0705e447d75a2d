"""What a struck process runs: a `manage.py` command that may be held at a point.

    FAULT_POINT=in_settle FAULT_FOLDER=/tmp/x python -m tests.faults.entry work --slots 2

`delete JOB` deletes a job as its organization's owner, for which there is no command.
"""

import os
import sys
from pathlib import Path


def main(arguments: list[str]) -> None:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from django.conf import settings

    from apps.queue import fallback

    # The readers that come with the service take longer to load than all that happens here.
    settings.PROCESSORS = settings.PROCESSORS[:1]
    fallback.LOOK_SECONDS = 0.3  # in the measure of the tests' leases
    if point := os.environ.get("FAULT_POINT"):
        from tests.faults.points import hold_at

        hold_at(point, Path(os.environ["FAULT_FOLDER"]))
    if arguments[0] == "delete":
        delete(arguments[1])
        return
    from django.core.management import execute_from_command_line

    execute_from_command_line(["manage.py", *arguments])


def delete(job_id: str) -> None:
    from apps.jobs.models import BatchJob
    from apps.jobs.services import delete_job
    from tests.batches import owner_of

    job = BatchJob.objects.get(pk=job_id)
    delete_job(actor=owner_of(job.organization), job=job)


if __name__ == "__main__":
    main(sys.argv[1:])
