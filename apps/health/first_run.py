"""What an installation needs before it can serve: tables, static files, somebody to sign in."""

import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.management.commands.collectstatic import Command as CollectStatic
from django.core.management import call_command
from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage

from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.services import COMMAND_LINE, digest_of, give_key, sign_up
from apps.health.screen import Admin
from apps.ratelimits.rules import add_rule, was_ever_added

KEY_NAME = "up"
BATCHES = "batch-upload"
"""The limiter of batches."""


def migrate() -> None:
    """Brings the tables up to date. Raises OperationalError when the database is away."""
    call_command("migrate", interactive=False, verbosity=0)


class _GzipStorage(CompressedManifestStaticFilesStorage):
    """Without Brotli, which takes ten times as long as all the rest and gains nothing at home."""

    def create_compressor(self, **options: Any) -> Compressor:
        return Compressor(use_brotli=False, **options)


def collect_static(stamp: Path) -> bool:
    """Collects the static files if they differ from those noted in the file `stamp`; whether."""
    fingerprint = _fingerprint_of_static()
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    if manifest.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return False
    command = CollectStatic()
    command.storage = _GzipStorage()
    call_command(command, interactive=False, verbosity=0)
    stamp.write_text(fingerprint)
    return True


def _fingerprint_of_static() -> str:
    digest = hashlib.sha256(settings.VERSION.encode())
    for path, file in sorted(_static_files()):
        found = Path(file).stat()
        digest.update(f"{path} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _static_files() -> Iterator[tuple[str, str]]:
    for finder in get_finders():
        for path, storage in finder.list([]):
            yield path, storage.path(path)


def ensure_admin(email: str) -> Admin | None:
    """The first administrator. Made, with a password, when there is no user at all.

    None when there are users but none of them administers: that is then how it is wanted.
    """
    if not User.objects.exists():
        password = secrets.token_urlsafe(12)
        sign_up(email=email, password=password, is_staff=True, is_superuser=True, by=COMMAND_LINE)
        return Admin(email, password)
    first = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    return Admin(first.email, None) if first else None


def ensure_api_key(admin: Admin, path: Path) -> None:
    """Leaves a working API key of `admin` in the file `path`, readable by its owner only.

    The key in there stays when it works; otherwise (first run, another database, revoked) a new
    one is made.
    """
    if path.exists() and _is_working(path.read_text().strip()):
        return
    user = User.objects.get(email=admin.email)
    personal = Organization.objects.get(personal_of=user)
    _, token = give_key(organization=personal, user=user, name=KEY_NAME)
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    draft.replace(path)


def lift_batch_limit(admin: Admin) -> None:
    """Lets the organization of `admin` submit as many batches as it likes, by a rule that stands in
    the admin: on one's own machine a fourth batch within an hour is no abuse.

    Once: a rule that was changed or removed later stays so.
    """
    personal = Organization.objects.get(personal_of__email=admin.email)
    if not was_ever_added(BATCHES, personal):
        add_rule(
            by=None,
            organization=personal,
            limiter=BATCHES,
            windows="unlimited",
            reason="Made by the first run of manage.py up: this is your own machine.",
        )


def _is_working(token: str) -> bool:
    return ApiKey.objects.filter(
        digest=digest_of(token.encode()), revoked_at__isnull=True, user__is_active=True
    ).exists()
