"""Checkpoints: made of the ends of logs, and read back from where they were kept."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from apps.audit.chain import Known
from apps.audit.models import Chain, Checkpoint
from apps.audit.signing import (
    BadCheckpoint,
    Signed,
    Statement,
    fingerprint,
    is_signed,
    parse,
    private_key,
    public_key,
    sign,
)

CHUNK = 1000
Trusted = dict[str, Ed25519PublicKey]
"""Public keys by their fingerprints."""


def signing_key() -> Ed25519PrivateKey:
    """That of this installation. Raises BadKey."""
    return _key(settings.AUDIT_SIGNING_KEY)


@lru_cache(maxsize=1)
def _key(text: str) -> Ed25519PrivateKey:
    return private_key(text)


def trusted_keys(texts: Iterable[str] = ()) -> Trusted:
    """The public keys `texts`; without any, that of this installation and AUDIT_PUBLIC_KEYS.
    Raises BadKey."""
    given = [public_key(text) for text in texts]
    if not given:
        given = [signing_key().public_key(), *map(public_key, settings.AUDIT_PUBLIC_KEYS)]
    return {fingerprint(key): key for key in given}


def make_checkpoints() -> list[Checkpoint]:
    """Signs the end of every log that has grown since the last one. Recurring. Raises BadKey."""
    key = signing_key()
    name = fingerprint(key.public_key())
    known = Checkpoint.objects.filter(chain=OuterRef("name"), number=OuterRef("number"), key=name)
    grown = Chain.objects.filter(~Exists(known), number__gt=0).order_by("name")
    made = (_made(key, name, chain) for chain in grown.iterator(CHUNK))
    return [each for each in made if each is not None]


def _made(key: Ed25519PrivateKey, name: str, chain: Chain) -> Checkpoint | None:
    now = timezone.now()
    at = now.astimezone(UTC).isoformat(timespec="microseconds")
    signed = sign(key, Statement(chain.name, chain.number, chain.hash, at, name))
    row = Checkpoint(
        chain=chain.name,
        number=chain.number,
        hash=chain.hash,
        at=now,
        key=name,
        signature=signed.signature,
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:  # somebody made it at the same moment
        return None
    return row


def stored(chain: str, trusted: Trusted) -> list[Known]:
    """What the checkpoints in the database say of `chain`."""
    rows = Checkpoint.objects.filter(chain=chain).order_by("number")
    return [known(row.signed(), trusted) for row in rows.iterator(CHUNK)]


def known(signed: Signed, trusted: Trusted) -> Known:
    told = signed.statement
    return Known(told.number, told.hash, is_signed(signed, trusted), told.at)


def read(lines: Iterable[str]) -> dict[str, list[Signed]]:
    """Checkpoints from outside, by log, from lines of JSON. Raises BadCheckpoint, which tells the
    number of the line."""
    found = defaultdict[str, list[Signed]](list)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            signed = parse(line)
        except BadCheckpoint as error:
            raise BadCheckpoint(f"Line {number}: {error}") from None
        found[signed.statement.chain].append(signed)
    return dict(found)


def lines(chain: str | None = None) -> Iterator[str]:
    """All checkpoints there are (of one log), as they are kept outside, oldest first."""
    rows = Checkpoint.objects.order_by("id")
    rows = rows if chain is None else rows.filter(chain=chain)
    for row in rows.iterator(CHUNK):
        yield row.signed().line()
