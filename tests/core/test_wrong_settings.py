"""A setting that cannot be used is told of at start, by its name and without a traceback; so is a
database that is not there, or has no tables, and what nobody listens to goes nowhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings as own
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, OperationalError
from pytest_django import Settings

from apps.core.checks import addresses_can_be_used
from apps.core.ending import INTERRUPTED, NO_DATABASE, reason
from apps.jobs.checks import scanner_is_named
from config.env import Environment

pytestmark = pytest.mark.once

UNREADABLE = {
    "BACKUP_EVERY": "24h",
    "SECRET_KEY_FILE": "/nowhere/secret",
    "SENTRY_DSN": "abc",
    "STATIC_ROOT": "/dev/null/static",
}
OUT_OF_BOUNDS = {
    "AUDIT_CHECKPOINT_SECONDS": "0",
    "BACKUP_EVERY": "-1",
    "BACKUP_KEEP": "0",
    "DB_CONNECTION_TIMEOUT": "0",
    "DB_MAX_CONNECTIONS": "0",
    "DB_MIN_CONNECTIONS": "-1",
    "HEAVY_CONCURRENCY": "-1",
    "SENTRY_TRACES_SAMPLE_RATE": "7",
    "SWEEP_SECONDS": "0",
}


def manage(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {
        "PATH": os.environ["PATH"],
        "ENV_FILE": os.devnull,
        "ENVIRONMENT": "production",
        "DOCMILL_DATA_DIR": str(home),
    }
    return subprocess.run(
        [sys.executable, own.BASE_DIR / "manage.py", *arguments],
        env=base | environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_setting_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    ended = manage(tmp_path, "work", **{name: UNREADABLE[name]})
    assert ended.returncode == 1
    assert ended.stderr.startswith(f"Settings: {name}")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("reader", "name", "text"),
    [
        ("bool", "ENABLE_BATCH", "fasle"),
        ("bool", "HTTPS_ONLY", ""),
        ("db_url", "DATABASE_URL", "mysql://mill:word@db/docmill"),
        ("email_url", "EMAIL_URL", "pigeon://coop"),
        ("float", "BACKUP_EVERY", "nan"),
        ("float", "BACKUP_EVERY", "1,5"),
        ("int", "DB_MAX_CONNECTIONS", "ten"),
    ],
)
def test_what_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, reader: str, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(ImproperlyConfigured, match=f"^{name}") as raised:
        getattr(Environment(), reader)(name, default=1)
    assert "mill:word" not in str(raised.value)


def test_numbers_that_make_no_sense_are_named(tmp_path: Path) -> None:
    ended = manage(tmp_path, "queue", **OUT_OF_BOUNDS)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    for name in OUT_OF_BOUNDS:
        assert f"(core.E003) {name} must be" in ended.stderr, name


@pytest.mark.parametrize(
    "url", ["docs.example.com", "ftp://docs.example.com", "https://", "http://[x"]
)
def test_links_need_an_address(settings: Settings, url: str) -> None:
    settings.PUBLIC_URL = url
    [error] = addresses_can_be_used()
    assert (error.id, error.msg.split()[0]) == ("core.E004", "PUBLIC_URL")


def test_without_a_host_nothing_is_answered(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = []
    [error] = addresses_can_be_used()
    assert (error.id, error.msg.split()[0]) == ("core.E005", "ALLOWED_HOSTS")
    settings.DEBUG = True  # then Django answers under localhost
    assert addresses_can_be_used() == []


def test_an_address_of_redis_that_all_share_is_told_once(tmp_path: Path) -> None:
    ended = manage(tmp_path, "check", REDIS_URL="http://redis:6379")
    assert ended.returncode == 1
    assert "(core.E006) REDIS_URL: " in ended.stderr
    assert ended.stderr.count("REDIS_URL") == 1


@pytest.mark.parametrize(
    "url", ["xx", "tcp://", "tcp://clamav:port", "unix:", "http://clamav:3310"]
)
def test_a_scanner_needs_an_address(settings: Settings, url: str) -> None:
    settings.CLAMAV_URL = url
    [error] = scanner_is_named()
    assert (error.id, error.msg.split()[0]) == ("jobs.E003", "CLAMAV_URL:")
    settings.CLAMAV_URL = "tcp://clamav"
    assert scanner_is_named() == []


@pytest.mark.parametrize(
    ("word", "meant"), [("on", True), ("TRUE", True), ("1", True), ("No", False), ("off", False)]
)
def test_words_for_yes_and_no(monkeypatch: pytest.MonkeyPatch, word: str, meant: bool) -> None:
    monkeypatch.setenv("ENABLE_BATCH", word)
    assert Environment().bool("ENABLE_BATCH", default=not meant) is meant


@pytest.mark.parametrize("command", ["beat", "queue", "verify_audit", "work"])
def test_a_database_without_tables_is_told_of(tmp_path: Path, command: str) -> None:
    ended = manage(tmp_path, command)
    assert ended.returncode == NO_DATABASE
    assert ended.stderr.startswith("Run `manage.py migrate` first")
    assert "Traceback" not in ended.stderr


def test_a_database_that_is_away_is_told_of(tmp_path: Path) -> None:
    ended = manage(tmp_path, "verify_audit", DATABASE_URL=f"postgres://docmill@/{tmp_path}/nodb")
    assert ended.returncode == NO_DATABASE
    assert "see DATABASE_URL" in ended.stderr
    assert "Traceback" not in ended.stderr
    shown = manage(
        tmp_path, "queue", "--traceback", DATABASE_URL=f"postgres://docmill@/{tmp_path}/nodb"
    )
    assert "Traceback" in shown.stderr


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    assert reason(DatabaseError("syntax error at or near SELEC"))[0] is None
    assert reason(OperationalError("no connection"))[0] == NO_DATABASE
    assert "manage.py migrate" in reason(OperationalError("no such column: a.b"))[1]
    assert reason(KeyboardInterrupt())[0] == INTERRUPTED


CLOSED = """
from apps.core import ending
ending.run(["manage.py", "version"])
kept = open("{kept}", "w")
print("printed")
assert kept.fileno() > 2
"""


def test_nothing_takes_the_place_of_what_was_closed(tmp_path: Path) -> None:
    """What is printed would go into it: into a database, the first that is opened."""
    kept = tmp_path / "kept"
    ended = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" <&- >&- 2>&-', sys.executable, CLOSED.format(kept=kept)],
        cwd=own.BASE_DIR,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0
    assert kept.read_text() == ""
