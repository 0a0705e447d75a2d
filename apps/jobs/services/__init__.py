"""Every write that spans rows of a job. Locks are taken in one order: files, then the job."""

from apps.jobs.services.closing import count_end, mark_started, pause_by_system, recount
from apps.jobs.services.controlling import (
    cancel_job,
    discard_job,
    keep_job,
    pause_job,
    prioritize_job,
    resume_job,
)
from apps.jobs.services.removing import delete_job
from apps.jobs.services.rerunning import requeue_job, retry_job, runs_again
from apps.jobs.services.submitting import (
    Replayable,
    Submission,
    add_files,
    file_rows,
    is_known,
    options_of,
    password_of,
    refuse_what_no_processor_takes,
    submit_job,
    submit_once,
)
from apps.jobs.services.uploading import begin_upload, remove_upload

__all__ = [
    "Replayable",
    "Submission",
    "add_files",
    "begin_upload",
    "cancel_job",
    "count_end",
    "delete_job",
    "discard_job",
    "file_rows",
    "is_known",
    "keep_job",
    "mark_started",
    "options_of",
    "password_of",
    "pause_by_system",
    "pause_job",
    "prioritize_job",
    "recount",
    "refuse_what_no_processor_takes",
    "remove_upload",
    "requeue_job",
    "resume_job",
    "retry_job",
    "runs_again",
    "submit_job",
    "submit_once",
]
