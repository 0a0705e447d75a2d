"""A webhook was disabled because of how it answers: told to those who may enable it.

Facts: `endpoint`, `title`, `reason`, `since`, `is_over` once somebody has seen to it.
"""

from apps.notifications.kinds.told import Facts, Kind, Told


def _tell(facts: Facts) -> Told:
    where = (facts["endpoint"],)
    what = "the webhook is enabled again" if facts["is_over"] else "the webhook was disabled"
    text = "" if facts["is_over"] else f"Nothing is sent to it: {facts['reason']}."
    return Told(facts["title"], what, text, page=("web:webhook", *where), api=("webhook", *where))


WEBHOOK_DISABLED = Kind(
    "webhook_disabled",
    "Webhooks",
    "A webhook was disabled because it does not take messages.",
    "hook",
    _tell,
)
