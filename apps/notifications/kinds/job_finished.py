"""A job came to an end: told to who submitted it, once for each job.

Facts: `job` (its id), `title`, `state`, `run`, `total`, `counts` (files by how they ended).
"""

from apps.notifications.kinds.told import Facts, Kind, Told, counted

WORDS = {
    "succeeded": ("finished", "check"),
    "partial": ("partly failed", "warning"),
    "failed": ("failed", "cross"),
    "cancelled": ("cancelled", "stop"),
}
"""State -> what happened, and its symbol."""


def _tell(facts: Facts) -> Told:
    counts = facts["counts"]
    read = f"{counts.get('succeeded', 0)} of {counted(facts['total'], 'file')} read"
    others = [f"{count} {state}" for state, count in counts.items() if state != "succeeded"]
    job = str(facts["job"])
    what, symbol = WORDS[facts["state"]]
    return Told(
        subject=facts["title"],
        what=what,
        text=", ".join([read, *others]) + ".",
        page=("web:job", job),
        api=("job", job),
        symbol=symbol,
    )


JOB_FINISHED = Kind(
    "job_finished",
    "Finished jobs",
    "A job of yours was read to its end, or failed, or somebody else cancelled it.",
    "check",
    _tell,
)
