"""A download was built in the background: told to who asked for it.

Facts: `export` (its id), `name` (of the file), `job` (the id of its first), `is_complete`.
"""

from apps.notifications.kinds.told import Facts, Kind, Told


def _tell(facts: Facts) -> Told:
    whole = "It can be downloaded now."
    partial = "It can be downloaded now. A job of it still ran, so that it is not whole."
    return Told(
        subject=facts["name"],
        what="ready",
        text=whole if facts["is_complete"] else partial,
        page=("web:job", str(facts["job"])),
        api=("export", str(facts["export"])),
    )


EXPORT_READY = Kind(
    "export_ready",
    "Exports",
    "A download that you asked for has been built.",
    "download",
    _tell,
)
