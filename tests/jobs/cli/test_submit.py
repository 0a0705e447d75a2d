"""`manage.py submit`, in-process and over HTTP alike."""

import json
import re
import signal
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import create_user
from apps.jobs.models import BatchFile, BatchJob
from apps.queue.models import Priority
from tests.jobs.cli.conftest import Run
from tests.jobs.runs import read_next
from tests.processes import Process

pytestmark = pytest.mark.once

Inbox = Callable[..., Path]
Manage = Callable[..., Process]

MIXED = {
    "good.txt": "Seven quiet otters swim in the river.",
    "folder/table.csv": "a,b\n1,2\n",
    "damaged.pdf": b"%PDF-1.4 and nothing more",
    "false.png": "this is no picture",
    "bad\x1b[2Jname.txt": "text",
    "notes.unknown": "skipped",
    ".hidden.txt": "passed over",
}


def names(job: BatchJob) -> list[str]:
    return list(BatchFile.objects.filter(job=job).order_by("position").values_list("name", flat=1))


def test_a_folder_becomes_a_job(run: Run, way: list[str], inbox: Inbox) -> None:
    folder = inbox({"b.txt": "two", "z/a.csv": "1,2", "c.unknown": "x", ".secret.txt": "x"})

    answer = run("submit", folder, *way)

    job = BatchJob.objects.get()
    assert answer.code == 0
    [line] = answer.out.splitlines()
    assert line.startswith(f"{job.pk}  2 files, 0 rejected; ")
    assert "skipped, of no kind that is read here" in answer.err
    assert "c.unknown" in answer.err
    assert names(job) == ["b.txt", "a.csv"]
    assert (job.operation, job.priority, job.name) == ("extract", Priority.NORMAL, "")


def test_the_line_says_how_to_follow(run: Run, way: list[str], inbox: Inbox) -> None:
    out = run("submit", inbox({"a.txt": "text"}), *way).out

    command = out.split("manage.py ")[1].split()
    read_next()
    key = way[-2:] if "--key" in way else []
    assert str(BatchJob.objects.get().pk) in run(*command, *key).out
    if key:
        assert f"{way[1]}/api/batch/jobs/" in out


def test_what_is_asked_for_arrives(run: Run, way: list[str], inbox: Inbox) -> None:
    options = '{"languages": ["deu"], "pages": "1-3"}'
    wishes = ["--operation", "ocr", "--priority", "high", "--name", "Scans", "--options", options]

    run("submit", inbox({"a.png": b"\x89PNG\r\n\x1a\n"}), *wishes, *way)

    job = BatchJob.objects.get()
    assert (job.operation, job.priority, job.name) == ("ocr", Priority.HIGH, "Scans")
    assert job.options == {"languages": ["deu"], "pages": "1-3", "ocr": "auto"}


def test_waiting_ends_with_a_table(run: Run, way: list[str], inbox: Inbox, working: None) -> None:
    answer = run("submit", inbox(MIXED), "--wait", *way)

    job = BatchJob.objects.get()
    rows = [line.split() for line in answer.out.splitlines()]
    assert answer.code == 1
    assert rows[0] == ["Job", f"{job.pk}:", "partial"]
    assert ["good.txt", "succeeded", "1", "7", "en"] in [row[:5] for row in rows]
    assert ["damaged.pdf", "failed"] in [row[:2] for row in rows]
    assert [r"bad\x1b[2Jname.txt", "rejected"] in rows
    assert "    document.mislabelled: The name says PNG, the content does not." in answer.out
    assert "\x1b" not in answer.out + answer.err
    assert max(map(len, answer.out.splitlines())) <= 100
    assert answer.err.splitlines()[-1] == "Job: 5 of 5 done, 2 rejected, 1 failed, partial"


def test_all_well_is_zero(run: Run, way: list[str], inbox: Inbox, working: None) -> None:
    answer = run("submit", inbox({"a.txt": "one", "b.txt": "two"}), "--wait", *way)

    assert answer.code == 0
    assert answer.out.count("succeeded") == 3


def test_json_is_what_the_api_says(
    run: Run,
    there: list[str],
    inbox: Inbox,
    working: None,
    alice: User,
    acme: Organization,
    alice_api: APIClient,
) -> None:
    folder = inbox(MIXED)
    in_acme = ["--user", alice.email, "--organization", acme.pk]

    ways = {"here": in_acme, "there": there}
    told = {}
    for name, way in ways.items():
        answer = run("submit", folder, "--json", "--wait", *way)
        assert answer.code == 1
        told[name] = json.loads(answer.out)

    assert told["here"].keys() == {"jobs", "problems"}
    for document in told.values():
        [job] = document["jobs"]
        files = job.pop("files")
        api = f"/api/batch/jobs/{job['id']}"
        volatile = ("url", "files_url", "results_url")
        expected = alice_api.get(api).json()
        assert {**job, **dict.fromkeys(volatile)} == {**expected, **dict.fromkeys(volatile)}
        assert [f["name"] for f in files] == [
            f["name"] for f in alice_api.get(f"{api}/files").json()["results"]
        ]
    [mine], [theirs] = told["here"]["jobs"], told["there"]["jobs"]
    assert mine["url"] == f"/api/batch/jobs/{mine['id']}"
    assert theirs["url"].startswith("http")


def test_json_without_waiting(run: Run, way: list[str], inbox: Inbox) -> None:
    answer = run("submit", inbox({"a.txt": "one", "b.png": "no"}), "--json", *way)

    [job] = json.loads(answer.out)["jobs"]
    assert answer.code == 1
    assert job["counts"]["total"] == 2
    assert "rejected" not in job
    assert [(f["state"], f["error"] and f["error"]["code"]) for f in job["files"]] == [
        ("queued", None),
        ("rejected", "document.mislabelled"),
    ]


def test_a_path_that_is_not_there(run: Run, way: list[str], inbox: Inbox) -> None:
    folder = inbox({"a.txt": "text"})

    answer = run("submit", folder, folder / "missing.pdf", *way)

    assert answer.code == 2
    assert answer.out == ""
    assert "missing.pdf. Nothing was submitted." in answer.err
    assert not BatchJob.objects.exists()


def test_nothing_to_submit(run: Run, here: list[str], inbox: Inbox) -> None:
    answer = run("submit", inbox({"a.unknown": "text"}), *here)

    assert answer.code == 2
    assert "There is no document in there." in answer.err


def test_a_file_that_is_named_is_judged_by_the_server(
    run: Run, way: list[str], inbox: Inbox
) -> None:
    folder = inbox({"a.unknown": "text", "b.png": "no picture"})

    answer = run("submit", folder / "a.unknown", folder / "b.png", *way)

    assert answer.code == 1
    assert answer.out == ""
    assert "a.unknown: document.unsupported: This kind of file is not read." in answer.err
    assert "b.png: document.mislabelled" in answer.err
    assert not BatchJob.objects.exists()


def test_all_rejected_as_json(run: Run, way: list[str], inbox: Inbox) -> None:
    answer = run("submit", inbox({"b.png": "no picture"}), "--json", *way)

    told = json.loads(answer.out)
    assert (answer.code, told["jobs"]) == (1, [])
    assert told["problems"][0]["code"] == "batch.all_rejected"
    assert told["problems"][0]["errors"][0]["field"] == "b.png"


def test_fifty_one_files_are_two_jobs(run: Run, way: list[str], inbox: Inbox) -> None:
    folder = inbox({f"{number:02}.txt": f"file {number}" for number in range(51)})

    answer = run("submit", folder, "--name", "Letters", *way)

    first, second = BatchJob.objects.order_by("pk")
    assert (first.total, second.total) == (50, 1)
    assert (first.name, second.name) == ("Letters (1 of 2)", "Letters (2 of 2)")
    assert names(second) == ["50.txt"]
    assert [line.split()[0] for line in answer.out.splitlines()] == [str(first.pk), str(second.pk)]
    assert "51 files make 2 jobs of at most 50." in answer.err


def test_each_of_several_jobs_has_its_own_progress(
    run: Run, here: list[str], inbox: Inbox, working: None, settings: Settings
) -> None:
    settings.BATCH_MAX_FILES = 1

    answer = run("submit", inbox({"a.txt": "one", "b.txt": "two"}), "--wait", *here)

    assert answer.code == 0
    assert "Job 1 of 2: 1 of 1 done, succeeded" in answer.err
    assert "Job 2 of 2: 1 of 1 done, succeeded" in answer.err


def test_one_bad_batch_does_not_stop_the_others(
    run: Run, way: list[str], inbox: Inbox, settings: Settings
) -> None:
    settings.BATCH_MAX_FILES = 1

    answer = run("submit", inbox({"a.png": "no", "b.txt": "text"}), *way)

    assert answer.code == 1
    assert names(BatchJob.objects.get()) == ["b.txt"]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (["--operation", "ingest"], "ingest is not offered here"),
        (["--operation", "dance"], "operation must be one of"),
        (["--options", "no JSON"], "options must be a JSON object"),
        (["--options", '{"colour": 1}'], "options.colour: invalid: There is no such option."),
        (["--name", "x" * 201], "at most 200 characters"),
    ],
)
def test_a_wish_that_cannot_be_granted(
    run: Run, way: list[str], inbox: Inbox, wish: list[str], words: str
) -> None:
    answer = run("submit", inbox({"a.txt": "text"}), *wish, *way)

    assert answer.code == 2
    assert words in answer.err
    assert "Nothing was submitted." in answer.err
    assert not BatchJob.objects.exists()


def test_a_full_disk(run: Run, way: list[str], inbox: Inbox, settings: Settings) -> None:
    settings.STORAGE_MIN_FREE_PERCENT = 100

    answer = run("submit", inbox({"a.txt": "text"}), *way)

    assert answer.code == 2
    assert "disk is nearly full" in answer.err
    assert not BatchJob.objects.exists()


def test_names_arrive_as_they_are(run: Run, way: list[str], inbox: Inbox) -> None:
    good = ["%41.txt", "a b+c&d.txt", "a;b='c'.txt", 'a"b.txt', "ü 報 🦦.txt"]
    bad = ["a\nb.txt", "a\r\nX: y.txt", "a\x7f.txt", "a\\b.txt"]

    run("submit", inbox(dict.fromkeys(good + bad, "text")), *way)

    job = BatchJob.objects.get()
    refused = BatchFile.objects.filter(job=job, state="rejected")
    assert names(job) == sorted(good + bad)
    assert sorted(refused.values_list("name", "error_code")) == [
        (name, "document.name") for name in sorted(bad)
    ]


def test_without_a_user_the_only_administrator_acts(run: Run, inbox: Inbox, alice: User) -> None:
    folder = inbox({"a.txt": "text"})
    nobody = run("submit", folder)
    root = create_user(email="root@example.com", password=None, is_superuser=True)
    somebody = run("submit", folder)
    create_user(email="second@example.com", password=None, is_superuser=True)
    several = run("submit", folder)

    assert (nobody.code, somebody.code, several.code) == (2, 0, 2)
    assert "--user EMAIL" in nobody.err
    assert "--user EMAIL" in several.err
    assert BatchJob.objects.get().organization == root.personal_organization


def test_whom_nobody_can_act_for(
    run: Run, inbox: Inbox, alice: User, bob: User, acme: Organization, other: Organization
) -> None:
    folder = inbox({"a.txt": "text"})

    stranger = run("submit", folder, "--user", "nobody@example.com")
    outsider = run("submit", folder, "--user", alice.email, "--organization", other.pk)
    reader = run("submit", folder, "--user", bob.email, "--organization", acme.pk)

    assert {stranger.code, outsider.code, reader.code} == {2}
    assert "no active user nobody@example.com" in stranger.err
    assert "not a member" in outsider.err
    assert f"Your role here, {Role.READER}" in reader.err
    assert not BatchJob.objects.exists()


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("submit", "jobs"):
        with pytest.raises(SystemExit):
            call_command(command, "--help")
        assert f"\n  manage.py {command} " in capsys.readouterr().out


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_a_bar_on_standard_error(
    here: list[str], inbox: Inbox, working: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal, out = Terminal(), StringIO()
    monkeypatch.setattr(sys, "stderr", terminal)

    call_command("submit", str(inbox({"a.txt": "text"})), "--wait", *here, stdout=out)

    assert re.search(r"\rJob: 1 of 1 done, succeeded 100% \|\S+\|", terminal.getvalue())
    assert "%" not in out.getvalue()


def test_ctrl_c_ends_the_waiting_and_not_the_job(
    manage: Manage, alice: User, inbox: Inbox, data_dir: Path
) -> None:
    process = manage(
        *("submit", str(inbox({"a.txt": "text"})), "--wait", "--user", alice.email),
        env={"DOCMILL_DATA_DIR": str(data_dir)},
    )
    process.wait_for("Job: 0 of 1 done")
    process.send(signal.SIGINT)

    assert process.wait() == 130
    job = BatchJob.objects.get()
    assert f"manage.py watch {job.pk} --user {alice.email}" in process.output
    assert "Traceback" not in process.output
    assert job.state == "queued"
