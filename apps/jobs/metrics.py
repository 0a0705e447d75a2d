"""What is counted of jobs, their files, and the streams about them."""

from apps.core.metrics import counter, gauge

JOBS_SUBMITTED = counter("docmill_jobs_submitted_total", "Jobs that were accepted.", "operation")
JOBS_ENDED = counter(
    "docmill_jobs_ended_total",
    "Jobs that came to an end, again after each retry.",
    "operation",
    "outcome",
)
FILES_SUBMITTED = counter(
    "docmill_files_submitted_total",
    "Files of accepted jobs, those found in archives and mails as well.",
    "operation",
)
FILES_ENDED = counter(
    "docmill_files_ended_total",
    "Files that came to an end, again after each retry.",
    "operation",
    "outcome",
)
STREAMS_OPEN = gauge("docmill_streams_open", "Event streams that are open.")
