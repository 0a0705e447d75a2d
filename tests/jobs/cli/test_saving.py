"""`--save`: results of a job in a file, from here and from elsewhere, whole or not at all."""

import csv
import io
import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs.cli import remote
from apps.jobs.cli.remote import RemoteDoor
from apps.jobs.cli.saving import path_for, save
from apps.jobs.models import BatchJob, Export
from apps.queue.loop import work_once
from tests.batches import submit
from tests.jobs.ageing import read
from tests.jobs.cli.conftest import Run
from tests.jobs.cli.test_remote import BadWay
from tests.jobs.forms import body

pytestmark = pytest.mark.once


def saved(folder: Path) -> Path:
    """The only file in the folder."""
    [path] = folder.iterdir()
    return path


def test_the_results_of_a_job_are_saved(
    run: Run, way: list[str], acme: Organization, tmp_path: Path
) -> None:
    job = read(acme, "one", "two")
    BatchJob.objects.update(name="../May: \u202eé")
    answer = run("jobs", job.pk, "--save", tmp_path / "out", *way)
    assert answer.code == 0
    path = saved(tmp_path / "out")
    assert path.name == f"_May_ é-{job.pk.hex[-8:]}.zip"
    assert f"Saved: {path}" in answer.err
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(json.loads(archive.read("manifest.json"))["files"]) == 2


def test_in_any_format_and_told_to_programs(
    run: Run, way: list[str], acme: Organization, tmp_path: Path
) -> None:
    job = read(acme, "one")
    options = ("--save", tmp_path / "out", "--format", "csv", "--json")
    answer = run("jobs", job.pk, *options, *way)
    [told] = json.loads(answer.out)["jobs"]
    assert told["saved"] == str(saved(tmp_path / "out"))
    text = Path(told["saved"]).read_text("utf-8-sig")
    [row] = csv.DictReader(io.StringIO(text, newline=""))
    assert row["name"] == "1.txt"


def test_of_a_job_that_runs_it_is_what_there_is_so_far(
    run: Run, way: list[str], acme: Organization, tmp_path: Path
) -> None:
    job = submit(acme, "one")
    answer = run("jobs", job.pk, "--save", tmp_path / "out", *way)
    assert answer.code == 0
    assert "so far: the job still runs" in answer.err
    with zipfile.ZipFile(saved(tmp_path / "out")) as archive:
        assert json.loads(archive.read("manifest.json"))["complete"] is False


@pytest.mark.usefixtures("working")
def test_what_is_submitted_is_waited_for_and_saved(
    run: Run, way: list[str], inbox: Callable[..., Path], tmp_path: Path
) -> None:
    folder = inbox({"letter.txt": "Seven quiet otters."})
    answer = run("submit", folder, "--save", tmp_path / "out", "--format", "md", *way)
    assert answer.code == 0
    assert "Seven quiet otters." in saved(tmp_path / "out").read_text()


def test_what_cannot_be_saved_is_told(
    run: Run, here: list[str], acme: Organization, tmp_path: Path
) -> None:
    job = read(acme, "one")
    (tmp_path / "file").write_text("in the way")
    answer = run("jobs", job.pk, "--save", tmp_path / "file", *here)
    assert answer.code == 2
    assert "cannot be written" in answer.err
    assert run("jobs", "--save", tmp_path / "out", *here).code == 2


@pytest.mark.usefixtures("working")
def test_what_is_submitted_and_cannot_be_saved_is_told_to_programs_too(
    run: Run, here: list[str], inbox: Callable[..., Path], tmp_path: Path
) -> None:
    folder = inbox({"letter.txt": "Seven quiet otters."})
    (tmp_path / "file").write_text("in the way")
    answer = run("submit", folder, "--save", tmp_path / "file", "--json", *here)
    told = json.loads(answer.out)
    assert answer.code == 2
    assert [job["id"] for job in told["jobs"]] == [str(BatchJob.objects.get().pk)]
    assert told["jobs"][0]["files"][0]["state"] == "succeeded"
    assert [each["code"] for each in told["problems"]] == ["client.failed"]
    assert answer.err.count("cannot be written") == 1


def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    path = path_for(tmp_path, {"name": "", "id": "0-12345678"}, "zip")
    assert path.name == "results-12345678.zip"
    path.write_text("before")

    def breaks(sink: io.BufferedWriter) -> None:
        sink.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        save(path, breaks)  # type: ignore[arg-type]
    assert path.read_text() == "before"
    assert saved(tmp_path) == path


def test_nothing_is_written_but_in_the_folder(tmp_path: Path) -> None:
    folder, victim = tmp_path / "out", tmp_path / "victim"
    folder.mkdir()
    victim.write_text("theirs")
    # What another installation calls its jobs is for it to say.
    path = path_for(folder, {"name": "", "id": "/../../x"}, "zip")
    assert path.parent == folder
    # Whoever else may write there can tell what the unfinished file will be called.
    (folder / f".{path.name}.{os.getpid()}.part").symlink_to(victim)
    path.symlink_to(victim)
    save(path, lambda sink: sink.write(b"mine"))
    assert (path.read_text(), path.is_symlink(), victim.read_text()) == ("mine", False, "theirs")
    assert saved(folder) == path


# --- from elsewhere -----------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RETRY_SECONDS", 0.01)


@pytest.fixture
def exporting(transactional_db: None) -> Iterator[None]:
    """Somebody builds exports."""
    done = threading.Event()

    def work() -> None:
        try:
            while not done.wait(0.05):
                work_once(["export"])
        finally:
            connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield
    done.set()
    worker.join()


@pytest.mark.usefixtures("exporting")
def test_what_is_too_large_to_wait_for_is_built_there_and_fetched(
    run: Run, there: list[str], acme: Organization, tmp_path: Path, settings: Settings
) -> None:
    settings.EXPORT_DIRECT_BYTES = 10
    job = read(acme, "one")
    options = ("--save", tmp_path / "out", "--format", "xlsx")
    answer = run("jobs", job.pk, *options, *there)
    assert answer.code == 0, answer.err
    assert "takes a worker of the lane export" in answer.err
    export = Export.objects.get()
    assert export.content is not None
    assert saved(tmp_path / "out").stat().st_size == export.content.size_bytes


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("is_same", [True, False])
def test_a_download_that_breaks_off_goes_on_where_it_was_or_begins_anew(
    live_server: LiveServer,
    token: str,
    acme: Organization,
    alice_api: APIClient,
    tmp_path: Path,
    is_same: bool,
) -> None:
    job = read(acme, "one")
    alice_api.post("/api/batch/exports", {"format": "zip", "jobs": [str(job.pk)]}, format="json")
    assert work_once(["export"]) == 1
    answer = alice_api.get(f"/api/batch/jobs/{job.pk}/results.zip")
    data, etag = body(answer), answer["ETag"] if is_same else '"of another"'
    half = data[:50] if is_same else b"x" * 70
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\nETag: {etag}\r\n\r\n"
    said: list[str] = []
    with closing(BadWay(live_server.url, head.encode() + half, "pass")) as way:
        with closing(RemoteDoor(way.url, token, say=said.append)) as door:
            save(tmp_path / "out.zip", lambda sink: door.fetch(job.pk, "zip", sink))
        assert way.connections == 2
    assert (tmp_path / "out.zip").read_bytes() == data
    assert "broke off" in said[0]
