"""What is documented exists, and what exists is documented."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from apps.webhooks.events import EVENTS, TEST

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
READERS = re.compile(r'env(?:\.\w+)?\(\s*"([A-Z_]+)"')


def settings_in_code() -> set[str]:
    return set(READERS.findall((ROOT / "config/settings.py").read_text()))


def settings_in_example() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text().splitlines()
    pairs = (line.lstrip("#").split("=", 1) for line in lines if re.match(r"#?[A-Z_]+=", line))
    return dict(pairs)


def test_every_setting_is_in_the_example_and_every_example_is_read() -> None:
    assert set(settings_in_example()) == settings_in_code()


def test_the_table_of_settings_is_what_the_example_says() -> None:
    check = [sys.executable, ROOT / ".ci" / "settings_table.py", "--check"]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    shown = re.findall(r"^\| `([A-Z_]+)` \|", (ROOT / "docs/settings.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(settings_in_code())


def test_every_setting_in_the_example_says_what_it_does() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#?[A-Z_]+=", line):
            above = lines[number - 1]
            # Several settings may share one sentence.
            assert above.startswith("#"), f"{line} has no sentence above it"


@pytest.mark.parametrize(
    ("name", "default"),
    [
        ("BATCH_MAX_FILES", "50"),
        ("BATCH_MAX_FILE_BYTES", "52428800"),
        ("LEASE_SECONDS", "30"),
        ("RETRY_BASE_SECONDS", "30"),
        ("PROCESSING_TIMEOUT_SECONDS", "1800"),
        ("PROCESSING_MEMORY_BYTES", "1610612736"),
    ],
)
def test_shown_defaults_are_the_real_ones(name: str, default: str, settings: object) -> None:
    assert settings_in_example()[name] == default
    source = ast.parse((ROOT / "config/settings.py").read_text())
    given = {
        call.args[0].value: ast.unparse(keyword.value)
        for call in ast.walk(source)
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        for keyword in call.keywords
        if keyword.arg == "default"
    }
    assert eval(given[name]) == float(default)


AREAS = (
    "accounts|auth|batch|bulk|document|export|file|idempotency|job|live|metrics|notifications|operation"
    "|processor|queue|request|server|storage|upload|webhook|work"
)
CODE = re.compile(rf'"((?:{AREAS})\.[a-z_]+)"')
NOT_CODES = {
    *("accounts.change_apikey", "accounts.change_invitation"),  # permissions
    "accounts.organization",  # models
    "auth.group",
    "auth.permission",
    "batch.upload",  # an idempotency route
    "export.delete",  # an entry of the audit log
    "document.xml",  # a part of a DOCX
    *(
        "job.submit",
        "job.cancel",
        "job.pause",
        "job.resume",
        "job.prioritize",
        "job.retry",
        "job.requeue",
    ),
    *("job.keep", "job.let_go", "job.discard", "job.delete"),  # what the audit log calls acts
    *("job.expire", "queue.pause", "queue.resume", "queue.limit"),
    *("queue.change_workitem", "queue.view_workitem", "queue.change_pause"),  # permissions
    *("queue.add_lane", "queue.change_lane", "queue.change_periodicrun"),
    "queue.work",  # a Celery task
    "webhook.test",  # an event
    *("webhook.add", "webhook.change", "webhook.rotate", "webhook.reveal", "webhook.delete"),
    *("webhook.disable", "webhook.redeliver"),
    "work.cancel",  # entries of the audit log
    "work.request",
    "work.retry",
}


def codes_in_code() -> set[str]:
    paths = [p for p in (ROOT / "apps").rglob("*.py") if "migrations" not in p.parts]
    return {code for path in paths for code in CODE.findall(path.read_text())} - NOT_CODES


def documented_codes() -> set[str]:
    page = (ROOT / "docs/errors.md").read_text()
    return set(re.findall(r"^\| `([a-z_]+\.[a-z_]+)`", page, re.MULTILINE))


def test_every_error_code_is_documented_and_every_documented_one_exists() -> None:
    assert documented_codes() == codes_in_code()


def test_every_event_is_documented_and_every_documented_one_exists() -> None:
    page = (ROOT / "docs/webhooks.md").read_text()
    told = dict(re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| (.+) \|$", page, re.MULTILINE))
    assert {name: about for name, about in told.items() if name != TEST} == EVENTS
    assert TEST in told


def test_every_command_is_documented() -> None:
    page = (ROOT / "README.md").read_text()
    for path in (ROOT / "apps").glob("*/management/commands/*.py"):
        if path.stem != "__init__":
            assert f"manage.py {path.stem}" in page, f"README does not tell of {path.stem}"


def test_every_kind_of_notification_is_documented_and_every_documented_one_exists() -> None:
    from apps.notifications.kinds import KINDS

    page = (ROOT / "docs/notifications.md").read_text()
    assert set(re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE)) == set(KINDS)
