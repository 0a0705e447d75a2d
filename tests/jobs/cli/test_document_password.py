"""The password that opens documents, given to `manage.py submit` out of everybody's sight."""

import getpass
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.jobs.models import BatchJob
from apps.jobs.services import options_of
from tests.jobs.cli.conftest import Run

pytestmark = pytest.mark.once

Inbox = Callable[..., Path]

VARIABLE = "DOCMILL_DOCUMENT_PASSWORD"


def typed(monkeypatch: pytest.MonkeyPatch, answer: str | None) -> None:
    """What a person types, who is asked at the terminal; None for its end."""

    def ask(prompt: str) -> str:
        if answer is None:
            raise EOFError
        return answer

    monkeypatch.setattr(getpass, "getpass", ask)


def kept() -> str:
    job = BatchJob.objects.get()
    assert "password" not in json.dumps(job.options)
    return options_of(job).password


def test_the_environment_gives_it(
    run: Run, way: list[str], inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "from outside")
    options = ["--options", '{"pages": "1"}']
    answer = run("submit", inbox({"a.txt": "text"}), *options, *way)
    assert answer.code == 0
    assert kept() == "from outside"
    assert BatchJob.objects.get().options["pages"] == "1"
    assert "from outside" not in answer.out + answer.err


@pytest.mark.parametrize(("answer", "password"), [("from a person", "from a person"), ("", "")])
def test_a_person_is_asked_for_it(
    run: Run,
    here: list[str],
    inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    password: str,
) -> None:
    monkeypatch.setenv(VARIABLE, "from outside")
    typed(monkeypatch, answer)
    assert run("submit", inbox({"a.txt": "text"}), "--ask-password", *here).code == 0
    assert kept() == password


def test_nobody_there_to_ask(
    run: Run, here: list[str], inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, None)
    answer = run("submit", inbox({"a.txt": "text"}), "--ask-password", *here)
    assert (answer.code, answer.err) == (2, "No password was given. Nothing was submitted.")
    assert not BatchJob.objects.exists()


@pytest.mark.parametrize("options", ["no JSON", "[1]"])
def test_other_options_are_still_refused_as_they_are(
    run: Run, here: list[str], inbox: Inbox, monkeypatch: pytest.MonkeyPatch, options: str
) -> None:
    monkeypatch.setenv(VARIABLE, "from outside")
    answer = run("submit", inbox({"a.txt": "text"}), "--options", options, *here)
    assert answer.code == 2
    assert "options must be a JSON object" in answer.err
