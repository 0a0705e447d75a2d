"""What an operator of the installation has to say: `manage.py notify`.

Facts: `title`, `text`.
"""

from apps.notifications.kinds.told import Facts, Kind, Told


def _tell(facts: Facts) -> Told:
    return Told(facts["title"], text=facts["text"])


MESSAGE = Kind(
    "message",
    "Messages of the operators",
    "Those who run this installation have something to say.",
    "bell",
    _tell,
)
