"""What every command of ours says while a restore has not come to its end."""

from typing import Any

from django.core.checks import Warning as Told
from django.core.checks import register

from apps.backups.restoring import cut_short
from apps.core.checks import SETTINGS


@register(SETTINGS)
def no_restore_was_cut_short(**_: Any) -> list[Told]:
    told = cut_short()
    if told is None:
        return []
    return [
        Told(
            f"A restore of {told['archive']} that began {told['began']} did not come to its end; "
            f"it was at: {told['doing']}.",
            hint="Run it again: manage.py restore",
            id="backups.W001",
        )
    ]
