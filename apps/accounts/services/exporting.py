"""What is kept of a person, for them to take along."""

import json
import zipfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from django.utils import timezone

from apps.accounts.belongings import Row, belongings
from apps.accounts.models import ApiKey, Invitation, Membership, SignedIn, User
from apps.audit.models import AuditEntry
from apps.audit.services import record

CHUNK = 1000
ACTIVITY = ("at", "organization_id", "action", "target", "target_id")
"""Of what somebody did: the rest may tell of others."""


def write_account(*, user: User, file: IO[bytes]) -> None:
    """Writes a ZIP: `account.json`, and lists as NDJSON, whose rows are not in memory at once."""
    record(organization=None, actor=user, action="user.export", target="user", target_id=user.pk)
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
        told = json.dumps(_account(user), indent=1, ensure_ascii=False, default=str)
        bundle.writestr("account.json", told)
        _write(bundle, "activity", _activity(user))
        for each in belongings():
            for name, rows in each.of_person(user):
                _write(bundle, name, rows)


def _write(bundle: zipfile.ZipFile, name: str, rows: Iterable[Row]) -> None:
    with bundle.open(f"{name}.ndjson", "w") as member:
        for row in rows:
            member.write(json.dumps(row, ensure_ascii=False, default=str).encode() + b"\n")


def _account(user: User) -> dict[str, Any]:
    memberships = Membership.objects.filter(user=user).order_by("pk")
    sent = Invitation.objects.filter(invited_by=user).order_by("pk")
    keys = ApiKey.objects.filter(user=user).order_by("pk")
    return {
        "exported_at": timezone.now().isoformat(),
        "email": user.email,
        "name": user.name,
        "date_joined": user.date_joined.isoformat(),
        "last_login": user.last_login.isoformat() if user.last_login else None,
        "memberships": list(memberships.values("organization_id", "organization__name", "role")),
        "api_keys": list(
            keys.values(
                "id",
                "name",
                "prefix",
                "role",
                "organization_id",
                "created_at",
                "expires_at",
                "last_used_at",
                "revoked_at",
            )
        ),
        "signed_in": list(SignedIn.objects.filter(user=user).values("began_at", "agent")),
        "invitations_sent": list(sent.values("email", "role", "organization_id", "created_at")),
    }


def _activity(user: User) -> Iterator[Row]:
    entries = AuditEntry.objects.filter(actor_name__in=_addresses(user), actor_id=user.pk)
    yield from entries.order_by("id").values(*ACTIVITY).iterator(CHUNK)


def _addresses(user: User) -> list[str]:
    """That of today, and those before it."""
    changes = AuditEntry.objects.filter(target_id=str(user.pk), action="user.email", target="user")
    return [user.email, *(json.loads(each.detail)["before"] for each in changes)]
