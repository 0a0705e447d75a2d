"""What checkpoints find that hashes alone do not, and the command that says so."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.core.management import CommandError, call_command
from django.db import connection, models, transaction

from apps.accounts.models import Organization, User
from apps.audit.chain import GENESIS, Flaw, Problem
from apps.audit.checkpoints import lines, make_checkpoints
from apps.audit.models import AuditEntry, Chain, Checkpoint
from apps.audit.services import record
from apps.audit.verifying import verify
from tests.audit.entries import add, rewrite, take_away

Verify = Callable[..., tuple[int, Any]]


@pytest.fixture(autouse=True)
def _key(settings: Any) -> None:
    settings.AUDIT_SIGNING_KEY = b64encode(bytes(range(32))).decode()


@pytest.fixture
def log(acme: Organization, alice: User) -> list[AuditEntry]:
    for number in range(1, 6):
        record(
            organization=acme,
            actor=alice,
            action="job.cancel",
            target="job",
            target_id=f"target-{number}",
            detail={"number": number},
            reason="because",
        )
    make_checkpoints()
    return list(AuditEntry.objects.order_by("number"))


@pytest.fixture
def verified() -> Verify:
    """Runs the command: its exit code, and what it answers as JSON."""

    def run(*arguments: str) -> tuple[int, Any]:
        out = StringIO()
        try:
            call_command("verify_audit", "--json", *arguments, stdout=out)
        except SystemExit as end:
            return int(str(end.code)), json.loads(out.getvalue())
        except CommandError as error:
            return error.returncode, str(error)
        return 0, json.loads(out.getvalue())

    return run


def kept(tmp_path: Path) -> str:
    """The checkpoints, in a file outside the database."""
    path = tmp_path / "checkpoints.ndjson"
    path.write_text("\n".join(lines()) + "\n")
    return str(path)


def forge_from(place: int, log: list[AuditEntry], **columns: Any) -> None:
    """Changes an entry and makes all hashes after it anew, and the head: nothing in the log shows
    it then."""
    previous = log[place - 1].hash if place else GENESIS
    for entry in log[place:]:
        for name, value in (columns if entry is log[place] else {}).items():
            setattr(entry, name, value)
        entry.previous = previous
        previous = entry.digest()
        rewrite(entry, previous=entry.previous, hash=previous, **columns if columns else {})
        columns = {}
    head = models.QuerySet(Chain).filter(pk=log[0].chain_id)
    head.update(number=len(log), hash=previous)


# --- one flipped byte ---------------------------------------------------------------------------


def flip(column: str, pk: Any) -> None:
    """Turns one letter or digit of a column into another, by SQL alone."""
    table = "audit_auditentry"
    key = pk.hex if connection.vendor == "sqlite" else str(pk)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT CAST({column} AS text) FROM {table} WHERE id = %s", [key])
        text = cursor.fetchone()[0]
        # The last that stays one of its type: a digit, or a letter in a text.
        place = max(i for i, letter in enumerate(text.partition("+")[0]) if letter.isalnum())
        swapped = {"0": "1", "a": "b"}
        other = swapped.get(text[place], "0" if text[place].isdigit() else "a")
        changed = text[:place] + other + text[place + 1 :]
        assert changed != text
        cursor.execute(f"UPDATE {table} SET {column} = %s WHERE id = %s", [changed, key])
        assert cursor.rowcount == 1


COLUMNS = [field.column for field in AuditEntry._meta.concrete_fields]


@pytest.mark.parametrize("column", COLUMNS)
def test_one_flipped_byte_in_any_column_is_named(
    acme: Organization, log: list[AuditEntry], verified: Verify, column: str
) -> None:
    entry = log[2]
    assert verified()[0] == 0
    with transaction.atomic():
        if column == "chain_id":  # a key: what it points to must be there
            Chain.objects.create(name=f"{acme.pk}"[:-1] + "x")
            rewrite(entry, chain_id=f"{acme.pk}"[:-1] + "x")
        else:
            flip(column, entry.pk)
        code, told = verified("--organization", str(acme.pk))
        transaction.set_rollback(True)
    assert code == 1
    flaw = told["logs"][0]["flaw"]
    assert flaw["number"] == 3
    assert flaw["problem"] == ("missing" if column in ("chain_id", "number") else "changed")
    if column not in ("chain_id", "number", "id", "at", "organization_id"):
        assert flaw["id"] == str(entry.pk)
        assert flaw["organization"] == str(acme.pk)
        assert flaw["at"] == entry.at.isoformat(timespec="microseconds")
    assert verified("--organization", "Acme")[0] == 0


@pytest.mark.once  # PostgreSQL has types for these
@pytest.mark.parametrize("column", ["id", "at", "organization_id"])
def test_another_way_to_write_the_same_value_is_a_change_too(
    acme: Organization, log: list[AuditEntry], column: str
) -> None:
    with connection.cursor() as cursor:
        turned = "replace(at, ' ', 'T')" if column == "at" else f"upper({column})"
        cursor.execute(f"UPDATE audit_auditentry SET {column} = {turned} WHERE number = 3")
    assert verify(acme) == Flaw(str(acme.pk), 3, Problem.CHANGED)


# --- what only a checkpoint finds ---------------------------------------------------------------


def test_an_end_that_was_taken_away_is_found_by_a_checkpoint(
    acme: Organization, log: list[AuditEntry], verified: Verify, tmp_path: Path
) -> None:
    outside = kept(tmp_path)
    take_away(*log[3:])
    models.QuerySet(Chain).filter(pk=str(acme.pk)).update(number=3, hash=log[2].hash)
    code, told = verified()
    assert (code, told["logs"][0]["flaw"]["problem"]) == (1, "truncated")
    assert told["logs"][0]["flaw"]["number"] == 4

    models.QuerySet(Checkpoint)._raw_delete("default")  # nothing inside tells of it any more
    assert verified()[0] == 0
    code, told = verified("--checkpoints", outside)
    assert (code, told["logs"][0]["flaw"]["problem"]) == (1, "truncated")
    assert "up to 5 were signed" in told["logs"][0]["flaw"]["told"]


def test_a_log_that_was_made_anew_is_found_by_a_checkpoint_outside(
    acme: Organization, log: list[AuditEntry], verified: Verify, tmp_path: Path
) -> None:
    add(acme, "job.pause", "job.resume")
    make_checkpoints()
    outside = kept(tmp_path)
    log = list(AuditEntry.objects.order_by("number"))
    forge_from(5, log, action="job.delete")
    models.QuerySet(Checkpoint)._raw_delete("default")
    # Who has the whole machine signs it anew as well; the key that is kept outside is another.
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    assert verified()[0] == 0

    code, told = verified("--checkpoints", outside, "--public-key", printed(key))
    flaw = told["logs"][0]["flaw"]
    assert (code, flaw["number"], flaw["problem"]) == (1, 7, "rewritten")
    assert "Up to entry 5 the log is as it was signed" in flaw["told"]


def test_a_log_that_is_gone_as_a_whole_is_found(
    acme: Organization, log: list[AuditEntry], verified: Verify, tmp_path: Path
) -> None:
    outside = kept(tmp_path)
    for model in (Checkpoint, AuditEntry, Chain):
        models.QuerySet(model)._raw_delete("default")
    assert verified()[0] == 0
    code, told = verified("--checkpoints", outside)
    assert (code, told["logs"][0]["flaw"]["number"]) == (1, 1)
    assert told["logs"][0]["log"] == str(acme.pk)


def test_a_checkpoint_that_nobody_trusted_signed_is_named(
    acme: Organization, log: list[AuditEntry], verified: Verify, settings: Any
) -> None:
    settings.AUDIT_SIGNING_KEY = b64encode(bytes(32)).decode()
    code, told = verified()
    assert (code, told["logs"][0]["flaw"]["problem"]) == (1, "unsigned")
    old = Ed25519PrivateKey.from_private_bytes(bytes(range(32))).public_key()
    settings.AUDIT_PUBLIC_KEYS = [printed(old)]
    assert verified()[0] == 0

    forged = Checkpoint.objects.values("signature").get()["signature"]
    other = b64encode(b64decode(forged)[::-1]).decode()
    models.QuerySet(Checkpoint).update(signature=other)
    assert verified()[1]["logs"][0]["flaw"]["problem"] == "unsigned"


def test_inserted_and_missing_entries_are_told_apart(
    acme: Organization, log: list[AuditEntry]
) -> None:
    pk = str(acme.pk)
    models.QuerySet(Checkpoint)._raw_delete("default")
    for entry in reversed(log[2:]):
        rewrite(entry, number=entry.number + 1)
    forged = AuditEntry(
        chain_id=pk, number=3, at=log[0].at, organization=acme, action="x", previous=log[1].hash
    )
    for digest in (forged.digest(), "0" * 64):  # with a hash that fits, and with one that does not
        forged.hash = digest
        with transaction.atomic():
            forged.save(force_insert=True)
            assert verify(acme) == Flaw(pk, 3, Problem.INSERTED)
            transaction.set_rollback(True)
        forged._state.adding = True
    take_away(log[2])
    for entry in log[3:]:  # the third is lost, and those after it close up
        rewrite(entry, number=entry.number - 1)
    assert verify(acme) == Flaw(pk, 3, Problem.MISSING)


# --- making and handing out ---------------------------------------------------------------------


def printed(key: Ed25519PublicKey) -> str:
    return b64encode(key.public_bytes_raw()).decode()


def audit(*arguments: str) -> str:
    out = StringIO()
    call_command("audit", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_each_log_that_has_grown_is_signed_once(acme: Organization, other: Organization) -> None:
    add(acme, "a", "b")
    add(None, "c")
    assert {(each.chain, each.number) for each in make_checkpoints()} == {
        (str(acme.pk), 2),
        ("system", 1),
    }
    assert make_checkpoints() == []
    add(acme, "d")
    assert [(each.chain, each.number) for each in make_checkpoints()] == [(str(acme.pk), 3)]
    with pytest.raises(TypeError):
        Checkpoint.objects.all().delete()
    with pytest.raises(TypeError):
        Checkpoint.objects.update(number=1)
    with pytest.raises(TypeError):
        Checkpoint.objects.first().save()  # type: ignore[union-attr]


@pytest.mark.once
def test_a_checkpoint_is_proved_without_docmill(acme: Organization, log: list[AuditEntry]) -> None:
    """What another program has to do, with the key as PEM."""
    told = json.loads(audit("checkpoints", "--organization", "Acme"))
    signature = b64decode(told.pop("signature"))
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    key = load_pem_public_key(audit("public-key", "--pem").encode())
    assert isinstance(key, Ed25519PublicKey)
    key.verify(signature, f"docmill-audit-checkpoint-1\n{text}".encode())
    assert (told["number"], told["hash"]) == (5, log[4].hash)
    assert printed(key) == audit("public-key").strip()


@pytest.mark.once
def test_the_log_as_a_file(acme: Organization, log: list[AuditEntry], other: Organization) -> None:
    record(organization=acme, actor=None, action="job.delete", reason="=HYPERLINK()\n\u00e9")
    add(other, "job.delete")
    rows = [json.loads(line) for line in audit("export", "--organization", "Acme").splitlines()]
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    last = AuditEntry.objects.get(number=6)
    assert rows[5] == {**last.content(), "previous": last.previous, "hash": last.hash}
    only = audit("export", "--action", "job.delete", "--until", "2999-01-01T00:00Z")
    assert len(only.splitlines()) == 2
    assert audit("export", "--since", "2999-01-01") == ""
    assert audit("export", "--actor", "alice@example.com").count("\n") == 5
    table = audit("export", "--organization", str(acme.pk), "--format", "csv")
    assert table.startswith('\ufeff"number","at"')
    assert '"\'=HYPERLINK()\n\u00e9"' in table
    told = AuditEntry.objects.filter(action="audit.export")
    assert told.count() == 5
    with pytest.raises(CommandError, match="no organization"):
        audit("export", "--organization", "Nobody")


@pytest.mark.once
def test_what_cannot_be_told_has_an_exit_code_of_its_own(
    acme: Organization, log: list[AuditEntry], verified: Verify, tmp_path: Path, settings: Any
) -> None:
    bad = tmp_path / "bad.ndjson"
    bad.write_text('{"chain": 1}\n')
    unknown = "019b2f0e-0000-7000-8000-000000000000"
    for arguments, told in (
        (["--checkpoints", str(bad)], "Line 1"),
        (["--checkpoints", str(tmp_path / "none")], "No such file"),
        (["--public-key", "x"], "base64"),
        (["--public-key", "AAAA"], "32 bytes"),
        (["--organization", "Nobody"], "no organization"),
        (["--organization", unknown], "no entries"),
    ):
        code, text = verified(*arguments)
        assert (code, told in text) == (2, True), (arguments, text)
    settings.AUDIT_SIGNING_KEY = "-----BEGIN nonsense"
    assert verified()[0] == 2


@pytest.mark.once
def test_people_are_told_in_words(acme: Organization, log: list[AuditEntry]) -> None:
    def said() -> str:
        out = StringIO()
        with suppress(SystemExit):
            call_command("verify_audit", stdout=out)
        return out.getvalue()

    assert "1 logs with 5 entries and 1 checkpoints" in said()
    rewrite(log[1], reason="x")
    text = said()
    assert f"NOT SOUND {acme.pk} (Acme): Entry 2 of the audit log" in text
    assert f"id: {log[1].pk}" in text
    assert "1 not sound" in text
    rewrite(log[1], reason="because")
    models.QuerySet(Checkpoint)._raw_delete("default")
    assert "No checkpoint speaks of them" in said()
