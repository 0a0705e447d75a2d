from pathlib import Path

import pytest

from apps.jobs.cli.multipart import CHUNK_BYTES, FileChanged, Form

pytestmark = pytest.mark.once


@pytest.mark.parametrize("sizes", [[], [0], [1, CHUNK_BYTES, CHUNK_BYTES + 1], [5_000_000]])
def test_the_length_is_what_is_sent_and_memory_stays_flat(tmp_path: Path, sizes: list[int]) -> None:
    paths = [tmp_path / f"{number} ü.txt" for number in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(b"x" * size)
    form = Form({"operation": "extract", "name": "Müller"}, paths, boundary="b")

    first, second = list(form), list(form)

    assert sum(map(len, first)) == form.length
    assert first == second
    assert max(map(len, first)) <= CHUNK_BYTES


def test_a_file_that_grows_meanwhile_is_sent_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    form = Form({}, [path], boundary="b")
    path.write_text("before and after")

    sent = b"".join(form)

    assert len(sent) == form.length
    assert b"before\r\n" in sent


def test_a_file_that_shrinks_meanwhile_cannot_be_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before")
    form = Form({}, [path], boundary="b")
    path.write_text("b")

    with pytest.raises(FileChanged, match=r"a\.txt became shorter"):
        list(form)
