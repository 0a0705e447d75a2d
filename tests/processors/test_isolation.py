"""What the child gives up, and what is left when it is gone."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from apps.processors.errors import ChildCrashed, OutOfResources, ProcessorBug
from apps.processors.host import ProcessorHost, isolation_in_force
from tests.processes import eventually
from tests.processors.conftest import Do
from tests.processors.watching import children, is_running

pytestmark = pytest.mark.once


def test_no_socket_opens(do: Do) -> None:
    outcomes = json.loads(do("open_sockets").extraction.text)
    assert outcomes == dict.fromkeys(["AF_INET", "AF_INET6", "AF_UNIX"], "PermissionError")


def test_no_secret_is_in_the_environment(do: Do, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "hunter2")
    environment = json.loads(do("show_environment").extraction.text)
    assert set(environment) <= {
        "LC_ALL",
        "OMP_THREAD_LIMIT",
        "OPENBLAS_NUM_THREADS",
        "MALLOC_ARENA_MAX",
    }


def test_neither_django_nor_settings_are_loaded(do: Do) -> None:
    modules = json.loads(do("show_modules").extraction.text)
    assert not {"django", "celery", "config.settings"} & set(modules)


def test_root_is_given_up(do: Do) -> None:
    seen = json.loads(do("show_self").extraction.text)
    if os.geteuid() == 0:
        assert seen["uid"] != 0
        assert seen["groups"] == []
    else:
        assert seen["uid"] == os.geteuid()
    assert seen["capabilities"] == 0
    assert seen["no_new_privileges"] == "1"
    assert seen["session"] == seen["pid"] != os.getpid()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be able to give it up")
def test_files_of_the_parent_are_out_of_reach(do: Do, tmp_path: Path) -> None:
    secret = tmp_path / "secret_key"
    secret.write_text("hunter2")
    secret.chmod(0o600)
    assert do(f"read_file {secret}").extraction.text == "PermissionError"


def test_the_original_is_read_where_the_child_could_not(do: Do, tmp_path: Path) -> None:
    closed = tmp_path / "data"
    closed.mkdir(mode=0o700)
    source = closed / "blob"
    source.write_text("echo from a closed folder")
    source.chmod(0o600)
    before = source.stat()
    assert do("", source=source).extraction.text == "from a closed folder"
    assert (source.stat().st_uid, source.stat().st_mode) == (before.st_uid, before.st_mode)


def test_the_isolation_in_force_is_told() -> None:
    isolation = isolation_in_force()
    assert "filter" in isolation.network
    assert isolation.processes == "filter"
    assert isolation.files.startswith("landlock")
    assert isolation.memory == "capped"
    assert isolation.parents_death == "kernel"
    assert isolation.weaknesses == []
    if os.geteuid() == 0:
        assert isolation.user == "nobody"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_litter_is_removed_after_each_document(do: Do, host: ProcessorHost) -> None:
    left = Path(do("litter").extraction.text)
    assert list(left.parent.iterdir()) == []
    host.close()
    assert not left.parent.parent.exists()


@pytest.mark.parametrize("order", ["echo hello", "segfault", "mistake", "fill_memory"])
def test_no_process_and_no_file_is_left(
    do: Do, host: ProcessorHost, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    before = children()
    descriptors = open_files()
    with contextlib.suppress(ChildCrashed, ProcessorBug, OutOfResources):
        do(order)
    host.close()
    assert children() <= before
    assert list(scratch.iterdir()) == []
    assert open_files() == descriptors


def test_the_child_dies_with_its_parent_and_the_next_host_sweeps(tmp_path: Path) -> None:
    source = tmp_path / "order.txt"
    source.write_text("sleep")
    root = Path(__file__).parents[2]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    parent = subprocess.Popen(
        [sys.executable, "-m", "tests.processors.parent", str(source)],
        stdout=subprocess.PIPE,
        env=environment,
        cwd=root,
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
    assert is_running(child)
    parent.kill()
    parent.wait()
    eventually(lambda: not is_running(child))
    (room,) = tmp_path.glob("docmill-read-*")
    os.utime(room, (0, 0))
    sweeping = "from pathlib import Path; from apps.processors.workroom import sweep; "
    sweeping += f"sweep(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", sweeping], cwd=root, check=True)
    assert not list(tmp_path.glob("docmill-read-*"))
