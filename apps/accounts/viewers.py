"""Operators who see the whole admin and change nothing there: for who is on call but not in charge.

A right of its own rather than a list of permissions, so that what a later version brings is seen
too.
"""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Group

from apps.accounts.models import User

VIEWERS = "Read-only operators"
"""The group whose members they are."""


class Backend(ModelBackend):
    """Django's own, that gives staff in the group every permission to view."""

    def has_perm(self, user_obj: User | AnonymousUser, perm: str, obj: Any = None) -> bool:
        may_view = perm.partition(".")[2].startswith("view_") and is_viewer(user_obj)
        return may_view or super().has_perm(user_obj, perm, obj)

    def has_module_perms(self, user_obj: User | AnonymousUser, app_label: str) -> bool:
        return is_viewer(user_obj) or super().has_module_perms(user_obj, app_label)


def is_viewer(user: User | AnonymousUser) -> bool:
    """Whether `user` is one; asked of the database once for each request."""
    if not (isinstance(user, User) and user.is_active and user.is_staff):
        return False
    known: bool | None = getattr(user, "_is_viewer", None)
    if known is None:
        known = user.groups.filter(name=VIEWERS).exists()
        user._is_viewer = known  # type: ignore[attr-defined]  # a note on the row, as Django's own
    return known


def make_viewer(*, user: User) -> None:
    """Let `user`, who is staff, see the whole admin."""
    user.groups.add(Group.objects.get_or_create(name=VIEWERS)[0])
