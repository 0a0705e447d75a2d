"""What is counted of attempts: each time that a row of a lane was run."""

from apps.core.metrics import LONG, counter, histogram

WAIT_SECONDS = histogram(
    "docmill_queue_wait_seconds",
    "Seconds from when a row could start to its start.",
    "lane",
    buckets=LONG,
)
RUN_SECONDS = histogram(
    "docmill_queue_run_seconds",
    "Seconds from the start of an attempt until its outcome was stored.",
    "lane",
    buckets=LONG,
)
ATTEMPTS = counter(
    "docmill_queue_attempts_total",
    "Attempts that ended, those taken back from lost workers as well.",
    "lane",
    "outcome",
    "failure_class",
)
