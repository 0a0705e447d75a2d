import os
from pathlib import Path

import pytest

from apps.jobs.cli.paths import BadPath, batches, pick

pytestmark = pytest.mark.once


def make(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text")
    return paths


def test_a_folder_is_searched_to_the_bottom_in_a_stable_order(tmp_path: Path) -> None:
    b, deep, a, upper = make(tmp_path, "b.txt", "z/y/deep.csv", "a.pdf", "c.TXT")
    make(tmp_path, ".hidden.txt", ".git/config.txt")
    unknown = make(tmp_path, "README.rst", "z/noise")

    picked = pick([tmp_path])

    assert picked.files == [a, b, upper, deep]
    assert picked.skipped == unknown


def test_a_file_that_is_named_is_taken_whatever_it_is(tmp_path: Path) -> None:
    program, hidden = make(tmp_path, "setup.exe", ".hidden")

    assert pick([program, hidden]).files == [program, hidden]


def test_paths_keep_their_order_and_a_file_comes_once(tmp_path: Path) -> None:
    z, a = make(tmp_path, "z.txt", "a.txt")

    assert pick([z, tmp_path, z]).files == [z, a]


def test_what_is_not_there(tmp_path: Path) -> None:
    [there] = make(tmp_path, "a.txt")

    with pytest.raises(BadPath, match=r"There is no file or folder .*missing"):
        pick([there, tmp_path / "missing.pdf"])


def test_what_is_neither_a_file_nor_a_folder(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")

    with pytest.raises(BadPath, match="neither a file nor a folder"):
        pick([tmp_path / "pipe.txt"])
    assert pick([tmp_path]).skipped == [tmp_path / "pipe.txt"]


def test_links_to_files_are_followed_and_dangling_ones_skipped(tmp_path: Path) -> None:
    [target] = make(tmp_path, "elsewhere/a.txt")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.txt").symlink_to(target)
    (folder / "dangling.txt").symlink_to(tmp_path / "gone")
    (folder / "loop").symlink_to(folder)

    picked = pick([folder])

    assert picked.files == [folder / "link.txt"]
    assert picked.skipped == [folder / "dangling.txt"]


@pytest.mark.parametrize(
    ("count", "sizes"), [(0, []), (1, [1]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])]
)
def test_batches(count: int, sizes: list[int]) -> None:
    files = [Path(str(number)) for number in range(count)]

    made = batches(files, 50)

    assert [len(batch) for batch in made] == sizes
    assert [file for batch in made for file in batch] == files
