"""Files of a job were put into quarantine: told to who may take them out, once for each job.

Facts: `job` (its id), `title`, `count` (0 once nothing of it is in quarantine any more).
"""

from apps.notifications.kinds.told import Facts, Kind, Told, counted


def _tell(facts: Facts) -> Told:
    count, job = facts["count"], str(facts["job"])
    text = (
        "Reading broke off more than once, so it is not tried again by itself. Look at the reason "
        "and run it again, or leave it."
    )
    return Told(
        subject=facts["title"],
        what=f"{counted(count, 'file')} in quarantine" if count else "quarantine is over",
        text=text if count else "The files were run again.",
        page=("web:job", job),
        api=("job", job),
    )


FILE_QUARANTINED = Kind(
    "file_quarantined",
    "Files in quarantine",
    "A file broke the reader again and again, and waits for an owner or admin to decide.",
    "shield",
    _tell,
)
