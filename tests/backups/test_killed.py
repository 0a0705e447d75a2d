"""Backups and restores that are killed, damaged or refused: nothing there is half of anything."""

import json
import signal
import tarfile
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, models
from django.db.migrations.executor import MigrationExecutor

from apps.accounts.models import Organization
from apps.backups import making
from tests.backups.contents import Rows, rows_in, without
from tests.backups.elsewhere import installation
from tests.batches import submit
from tests.health.looking import end_next

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

DIE = "import os, signal; die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
KILLED = -signal.SIGKILL
POINTS = {
    "among the bytes": "restoring.place().__class__.put = die",
    "among the rows": "tables.reset_sequences = die",
    "before the swap": "staging.take_its_place = die",
    "after the swap": "restoring._take_secrets = die",
}
RESTORE = """
from pathlib import Path
from apps.backups import restoring, staging, tables
{point}
restoring.restore(Path({path!r}), replaces=True)
"""
BACKUP = """
from pathlib import Path
from apps.backups import making
making.make(making.plan(Path({path!r})), tell=lambda done, total: die() if done else None)
"""
REFUSED = """
from pathlib import Path
from apps.backups import restoring, staging
from apps.backups.errors import BackupFailed

def refuse():
    raise BackupFailed("in use")

staging.take_its_place = refuse
try:
    restoring.restore(Path({path!r}), replaces=True)
except BackupFailed:
    print("refused")
"""
CHANGED = ("audit_auditentry", "audit_chain", "backups_backup")


def test_a_killed_backup_is_none_and_the_next_removes_it(
    acme: Organization, tmp_path: Path
) -> None:
    submit(acme, "one", "two")
    first = making.make(making.plan(tmp_path / "first")).path
    folder = tmp_path / "backups"
    with installation(tmp_path) as there:
        code = DIE + BACKUP.format(path=str(folder))
        there.run(["restore", first], then=code, ends_with=KILLED)
        [left] = folder.iterdir()
        assert left.name.startswith(".docmill-")
        assert left.name.endswith(".tar.partial")
        bad, (_, out, _), (_, verified, _) = there.run(
            ["backup", "--verify", left],
            ["backup", folder / "made.tar", "--json"],
            ["backup", "--verify", folder / "made.tar", "--json"],
        )
    assert bad[0] == 1
    assert "not whole" in bad[2]
    assert list(folder.iterdir()) == [Path(json.loads(out)["path"])]
    assert json.loads(verified)["files"] == 2


def test_a_killed_restore_leaves_the_old_or_the_new(acme: Organization, tmp_path: Path) -> None:
    submit(acme, "old")
    old = making.make(making.plan(tmp_path / "old")).path
    submit(acme, "new")
    end_next()
    new = making.make(making.plan(tmp_path / "new")).path
    before, after = (without(rows_in(path), *CHANGED) for path in (old, new))
    commands: list[Any] = [["restore", old, "--json"]]
    with installation(tmp_path) as there:
        for number, (name, point) in enumerate(POINTS.items()):
            code = DIE + RESTORE.format(point=point, path=str(new))
            done = there.run(*commands, then=code, ends_with=KILLED)
            if number:
                _check_cut_short(done, before)
            look: Any = [["doctor", "--quick", "--json"], ["check"]]
            commands = [*look, ["backup", tmp_path / f"{name}.tar", "--json"]]
        again = [["restore", new, "--force"], ["doctor", "--quick", "--json"]]
        done = there.run(*commands, *again, ["backup", tmp_path / "now.tar", "--json"])
    _check_cut_short(done, after)
    assert _restore_line(done[4][1])["status"] == "ok"
    assert without(rows_in(tmp_path / "now.tar"), *CHANGED) == after


def _check_cut_short(done: Any, rows: Rows) -> None:
    """Doctor and every command say so, and the rows are all of one installation."""
    (_, report, _), (_, _, warned), (_, backup, _) = done[:3]
    assert _restore_line(report)["status"] == "broken"
    assert "backups.W001" in warned
    assert without(rows_in(Path(json.loads(backup)["path"])), *CHANGED) == rows


def _restore_line(report: str) -> dict[str, str]:
    [line] = [line for line in json.loads(report)["backups"] if line["name"] == "restore"]
    return dict(line)


@pytest.mark.once
def test_keys_of_a_restore_that_failed_are_not_taken_by_the_next(
    acme: Organization, tmp_path: Path, data_dir: Path
) -> None:
    data_dir.mkdir()
    (data_dir / "secret_key").write_text("of-another-installation")
    other = making.make(making.plan(tmp_path / "other.tar")).path
    bare = making.make(making.plan(tmp_path / "bare.tar", has_secrets=False)).path
    with installation(tmp_path) as there:
        there.run(["check"], then=REFUSED.format(path=str(other)))
        assert not list(there.data.glob(".restoring.*"))
        own = (there.data / "secret_key").read_text()
        [done] = there.run(["restore", bare, "--force"])
        assert done[0] == 0, done
        assert (there.data / "secret_key").read_text() == own
        assert not list(there.data.glob(".restoring.*"))


@pytest.mark.once
def test_what_a_killed_restore_has_left_is_named_and_removed(
    acme: Organization, tmp_path: Path, data_dir: Path
) -> None:
    data_dir.mkdir()
    (data_dir / "secret_key").write_text("of-another-installation")
    path = making.make(making.plan(tmp_path / "other.tar")).path
    code = DIE + RESTORE.format(point=POINTS["among the rows"], path=str(path))
    doctor: list[str | Path] = ["doctor", "--quick", "--json"]
    with installation(tmp_path) as there:
        there.run(["migrate", "-v", "0"], then=code, ends_with=KILLED)
        own = (there.data / "secret_key").read_text()
        named, mended = there.run(doctor, [*doctor, "--fix"])
        assert ".restoring.secret_key" in named[1]
        assert "doctor --fix removes them" in named[1]
        lines = {line["name"]: line["status"] for line in json.loads(mended[1])["backups"]}
        assert (lines["restore"], lines["left by a restore"]) == ("ok", "ok")
        assert not list(there.data.glob("*.restoring*"))
        assert not list(there.data.glob(".restoring.*"))
        assert (there.data / "secret_key").read_text() == own


@pytest.mark.once
def test_damaged_and_foreign_files_are_refused_before_anything_is_written(
    acme: Organization, tmp_path: Path
) -> None:
    submit(acme, "a document", "two")
    whole = making.make(making.plan(tmp_path / "whole.tar")).path
    data = whole.read_bytes()
    place = data.index(b"a document")  # in its bytes
    bad = {
        "cut.tar": (data[: len(data) // 2], "not whole"),
        "flipped.tar": (data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :], "damaged"),
        "text.tar": (b"This is a text." * 100, "no backup of Docmill"),
        "empty.tar": (b"", "no backup of Docmill"),
    }
    with installation(tmp_path) as there:
        for name, (content, _) in bad.items():
            (tmp_path / name).write_bytes(content)
        with tarfile.open(tmp_path / "evil.tar", "w") as evil, tarfile.open(whole) as source:
            head = source.getmember("docmill-backup.json")
            evil.addfile(head, source.extractfile(head))
            evil.add(whole, "../../etc/passwd")
        wanted = {name: why for name, (_, why) in bad.items()}
        wanted |= {"evil.tar": "that no backup has", "none": "cannot be read"}
        told = there.refused(*(["restore", tmp_path / name] for name in wanted))
        assert not list(there.data.glob("blobs/*"))
        assert not (there.data / "restoring.json").exists()
    for name, why, said in zip(wanted, wanted.values(), told, strict=True):
        assert why in said, name


def test_one_of_a_newer_version_is_refused_and_one_of_an_older_is_brought_up(
    acme: Organization, tmp_path: Path
) -> None:
    submit(acme, "one")
    newer = tmp_path / "newer.tar"
    head = making._head

    def of_the_future(*arguments: object) -> object:
        made = head(*arguments)  # type: ignore[arg-type]
        made.migrations.append(["jobs", "0999_from_the_future"])
        return made

    making._head = of_the_future  # type: ignore[assignment]
    try:
        making.make(making.plan(newer))
    finally:
        making._head = head
    executor = MigrationExecutor(connection)
    try:
        executor.migrate([("backups", None)])
        assert "backups_backup" not in connection.introspection.table_names()
        older = _without_record(tmp_path / "older.tar")
    finally:
        executor = MigrationExecutor(connection)
        executor.migrate(executor.loader.graph.leaf_nodes())
    assert "backups_backup" not in rows_in(older)
    with installation(tmp_path) as there:
        newest, *done = there.run(
            ["restore", newer],
            ["restore", older],
            ["backup", tmp_path / "now.tar"],
            ["migrate", "--check"],
        )
    assert newest[0] == 1
    assert "0999_from_the_future" in newest[2]
    assert [status for status, _, _ in done] == [0, 0, 0]
    assert "backups_backup" in rows_in(tmp_path / "now.tar")


def _without_record(path: Path) -> Path:
    """A backup of a database that has no table of backups: as its version's code would make it."""
    create = making.Backup.objects.create
    making.Backup.objects.create = lambda **_: models.Model  # type: ignore[method-assign,assignment]
    try:
        return making.make(making.plan(path)).path
    finally:
        making.Backup.objects.create = create  # type: ignore[method-assign]
