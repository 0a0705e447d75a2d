"""Work is held back by a pause of the queue: told to those whose jobs wait because of it.

Facts: `scope` ("everything", "lane" or "organization"), `lane` ("" for every one), `organization`
(its name), `by` (a name, or None), `reason`, `is_over`.
"""

from apps.notifications.kinds.told import Facts, Kind, Told


def _tell(facts: Facts) -> Told:
    subject = {
        "everything": "Everything",
        "lane": f"The lane {facts['lane']}",
        "organization": facts["organization"],
    }[facts["scope"]]
    if facts["is_over"]:
        return Told(subject, "goes on", "What waited starts as soon as a worker is free.")
    by = f"By {facts['by']}. " if facts["by"] else ""
    reason = f"{facts['reason']} " if facts["reason"] else ""
    text = f"{by}{reason}Jobs of yours wait until it goes on."
    return Told(subject, "paused", text, page=("web:jobs",), api=("batch-pause",))


QUEUE_PAUSED = Kind(
    "queue_paused",
    "Pauses",
    "Somebody paused everything, a lane or the organization, and jobs of yours wait.",
    "pause",
    _tell,
)
