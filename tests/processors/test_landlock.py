"""The fence itself, in processes of their own; `test_escape` has somebody run against it."""

import subprocess
import sys
from pathlib import Path

import pytest

from apps.processors import landlock
from apps.processors.host import Isolation
from apps.processors.landlock import Fence

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]
FENCE = """
import sys, threading
from pathlib import Path
from apps.processors import landlock, linux
known = landlock.version()
landlock.version = lambda: min(known, int(sys.argv[2]))
linux.prctl(38, 1)
room = Path(sys.argv[1])
library, alone = room.with_name("library"), room.with_name("alone")
library.mkdir()
for file in (library / "module", alone):
    file.write_text("code")
fence = landlock.Fence(readable=[library, alone, "/not/there"], writable=[room])
if sys.argv[3:]:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print(fence.close())
(room / "inside").write_text("x")
(room / "inside").rename(room / "moved")
Path("/dev/null").write_text("x")
print((library / "module").read_text(), alone.read_text())
for file in (library / "module", library / "new", alone, room.with_name("outside")):
    try:
        file.open("a")
    except PermissionError:
        print("kept in")
"""

needs_landlock = pytest.mark.skipif(not landlock.version(), reason="needs a kernel with Landlock")


def fenced(folder: Path, *arguments: str) -> list[str]:
    folder.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", FENCE, str(folder), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


@needs_landlock
@pytest.mark.parametrize("version", range(1, landlock.version() + 1))
def test_every_version_of_the_interface_keeps_in(tmp_path: Path, version: int) -> None:
    assert fenced(tmp_path / "room", str(version)) == [
        f"landlock {version}",
        "code code",
        *["kept in"] * 4,
    ]
    assert [path.name for path in (tmp_path / "room").iterdir()] == ["moved"]


@needs_landlock
def test_threads_that_run_already_are_told(tmp_path: Path) -> None:
    assert fenced(tmp_path / "room", "99", "thread")[0] == "partly"


def test_without_landlock_nothing_is_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert Fence(readable=[], writable=[tmp_path]).close() == "open"


def isolation(**changed: str) -> Isolation:
    strong = {
        "user": "nobody",
        "network": "filter",
        "processes": "filter",
        "files": "landlock 7",
        "memory": "capped",
        "parents_death": "kernel",
    }
    return Isolation.parse({**strong, **changed})


@pytest.mark.parametrize(
    ("changed", "missing"),
    [
        ({}, []),
        ({"user": "same user as the worker"}, []),
        ({"network": "open"}, ["network"]),
        ({"processes": "open", "memory": "open"}, ["processes", "memory"]),
        ({"files": "partly"}, ["files"]),
        ({"user": "root", "files": "open"}, ["user", "files"]),
    ],
)
def test_what_is_missing_is_told(changed: dict[str, str], missing: list[str]) -> None:
    assert list(isolation(**changed).missing) == missing


def test_what_the_reader_could_see_depends_on_its_user() -> None:
    (of_nobody,) = isolation(files="open").weaknesses
    (of_the_worker,) = isolation(files="open", user="same user as the worker").weaknesses
    assert "every user" in of_nobody
    assert "the user that runs the worker" in of_the_worker
