"""Somebody was made a member of an organization: told to them.

Facts: `organization` (its name), `role`.
"""

from apps.notifications.kinds.told import Facts, Kind, Told


def _tell(facts: Facts) -> Told:
    text = f"You are {'an' if facts['role'][0] in 'ao' else 'a'} {facts['role']} there."
    return Told(facts["organization"], "you were added", text, page=("web:dashboard",))


MEMBER_ADDED = Kind(
    "member_added",
    "Memberships",
    "You were made a member of an organization.",
    "member",
    _tell,
)
