"""What doctor says of backups and of restores."""

from datetime import timedelta

from django.conf import settings

from apps.backups.making import age_seconds, last_backup
from apps.backups.restoring import cut_short, leftovers
from apps.queue.findings import OK, WEAK, Finding, Promise, is_overdue

SLACK_SECONDS = 3600.0

RESTORE = Promise("restore", "broken", "a restore did not come to its end: run it again.")
LEFT = Promise(
    "left by a restore",
    WEAK,
    "one that was broken off before it changed anything: doctor --fix removes them.",
)
OVERDUE = Promise(
    "last backup", WEAK, "none was made in time (BACKUP_EVERY): look at the work in the admin."
)
NONE = Promise(
    "last backup", WEAK, "none was made yet, though BACKUP_EVERY is set: is beat running?"
)
LOST = Promise("bytes in it", WEAK, "files were lost in storage when the last backup was made.")


def inspect() -> list[Finding]:
    """A finding for each promise."""
    told = cut_short()
    doing = [f"{told['archive']}: {told['doing']}"] if told else []
    left = leftovers()
    found = [RESTORE.finding(len(doing), doing), LEFT.finding(len(left), left)]
    last = last_backup()
    if last is None:
        return [*found, NONE.finding(1 if settings.BACKUP_EVERY else 0)]
    age = age_seconds(last)
    every = settings.BACKUP_EVERY * 3600
    if every and is_overdue(age, every, SLACK_SECONDS):
        found.append(OVERDUE.finding(1, [f"{timedelta(seconds=int(age))} ago"]))
    else:
        example = f"{timedelta(seconds=int(age))} ago, {last.path}"
        found.append(Made("last backup", OK, 1, (example,)))
    return [*found, LOST.finding(last.lost)]


class Made(Finding):
    """A good one, which says more than that nothing is wrong."""

    @property
    def detail(self) -> str:
        return self.examples[0]
