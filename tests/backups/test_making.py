"""Where backups go, how many stay, what is looked at before, and those that are made unasked."""

import json
import shutil
from collections import namedtuple
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.backups import inspection, making
from apps.backups.errors import BackupFailed
from apps.backups.models import Backup
from apps.backups.recurring import ask_for_backup, run
from apps.queue.handlers import Control, RunFailed, RunStopped
from apps.queue.models import WorkItem
from tests.batches import submit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
GOES_ON = Control(report=lambda _stage, _fraction: None, should_stop=lambda: False)


def test_a_command_makes_one_and_keeps_so_many(acme: Organization, tmp_path: Path) -> None:
    submit(acme, "one")
    for day in range(1, 5):
        (tmp_path / f"docmill-2026010{day}-030000.tar").write_bytes(b"old")
    (tmp_path / "docmill-before-upgrade.tar").write_bytes(b"not ours to remove")
    out = StringIO()
    call_command("backup", tmp_path, "--keep", "2", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert told["files"] == 1
    assert len(told["removed"]) == 3
    left = {path.name for path in tmp_path.iterdir() if path.name != "data"}
    assert left == {
        Path(told["path"]).name,
        "docmill-20260104-030000.tar",
        "docmill-before-upgrade.tar",
    }
    with pytest.raises(CommandError, match="not overwritten"):
        call_command("backup", told["path"])
    dry = StringIO()
    call_command("backup", tmp_path / "new", "--dry-run", stdout=dry)
    assert dry.getvalue().startswith("Would write")
    assert not (tmp_path / "new").exists()


def test_it_is_not_begun_where_it_would_not_fit(
    acme: Organization, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")(10**9, 10**9, 10**6)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(BackupFailed, match="1 MB free"):
        making.make(making.plan(tmp_path / "full"))
    assert list((tmp_path / "full").iterdir()) == []


def test_one_is_asked_for_once_and_made_by_a_worker(
    acme: Organization, tmp_path: Path, settings: Settings
) -> None:
    submit(acme, "one")
    settings.BACKUP_DIR = str(tmp_path / "made")
    settings.BACKUP_KEEP = 3
    ask_for_backup()
    ask_for_backup()
    item = WorkItem.objects.get()
    told = run(item, GOES_ON)
    assert told["files"] == 1
    assert Backup.objects.get().path == told["path"]
    stopped = Control(report=lambda _stage, _fraction: None, should_stop=lambda: True)
    with pytest.raises(RunStopped):
        run(item, stopped)
    assert [str(path) for path in (tmp_path / "made").iterdir()] == [told["path"]]
    (tmp_path / "file").write_text("in the way")
    settings.BACKUP_DIR = str(tmp_path / "file")
    with pytest.raises(RunFailed) as failed:
        run(item, GOES_ON)
    assert failed.value.failure.code == "work.backup_failed"


def test_doctor_says_how_old_the_last_one_is(settings: Settings) -> None:
    def last() -> tuple[str, str]:
        [line] = [each for each in inspection.inspect() if each.name == "last backup"]
        return line.status, line.detail

    assert last() == ("ok", "none")
    settings.BACKUP_EVERY = 24
    assert last()[0] == "weak"
    backup = Backup.objects.create(at=timezone.now(), path="/b/1.tar", size_bytes=1, files=1)
    assert last() == ("ok", "0:00:00 ago, /b/1.tar")
    Backup.objects.filter(pk=backup.pk).update(at=timezone.now() - timedelta(hours=60))
    assert last()[0] == "weak"
    assert "BACKUP_EVERY" in last()[1]
