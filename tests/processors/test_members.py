"""What may come out of a child's folder, tried with real children."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.processors import collecting
from apps.processors.collecting import Improper, collect
from apps.processors.errors import ChildCrashed, Stopped
from apps.processors.host import ProcessorHost
from apps.processors.protocol import Extraction, Member
from tests.processors.conftest import Do

pytestmark = pytest.mark.once

GIVING = "tests.processors.giving.GivingProcessor"
Give = Callable[..., Extraction]


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "members"
    folder.mkdir()
    return folder


@pytest.fixture
def give(do: Do) -> Give:
    def run(what: str, *paths: str, into: Path | None) -> Extraction:
        order = json.dumps({"do": what, "paths": paths, "returned": ["all of it"]})
        return do(order, processor=GIVING, members_to=into).extraction

    return run


def test_members_are_copied_out(give: Give, host: ProcessorHost, into: Path) -> None:
    found = give("files", "two", "inner/one", into=into)
    assert [(member.name, Path(member.path).read_text()) for member in found.members] == [
        ("folder/two", "second"),
        ("folder/inner/one", "first"),
    ]
    assert [Path(member.path) for member in found.members] == [into / "1", into / "2"]
    assert found.text == "all of it"
    assert host.pid is not None  # such a child goes on


def test_without_a_place_for_them_members_are_names(give: Give) -> None:
    found = give("files", "two", into=None)
    assert found.members == (Member("folder/two"),)


@pytest.mark.parametrize(
    ("what", "path"),
    [
        ("nothing", "/etc/hostname"),
        ("nothing", "../lock"),
        ("files", "inner/../two"),
        ("files", "inner"),
        ("files", "two/"),
        ("nothing", "not there"),
        ("nothing", "a\x00b"),
        ("nothing", "\ud800"),
        ("nothing", "a/" * 600 + "a"),
    ],
)
def test_nothing_else_is(give: Give, host: ProcessorHost, into: Path, what: str, path: str) -> None:
    with pytest.raises(ChildCrashed, match="makes no sense") as caught:
        give(what, path, into=into)
    assert caught.value.usage is not None
    assert host.pid is None
    assert list(into.iterdir()) == []


def test_what_was_made_of_a_document_is_copied_out_where_it_is_wanted(do: Do, into: Path) -> None:
    order = json.dumps({"do": "files", "made": ["two", "inner/one"]})
    found = do(order, processor=GIVING, searchable_to=into).extraction
    assert found.artifacts == (Member("two", str(into / "1")),)
    assert [path.read_text() for path in into.iterdir()] == ["second"]
    assert do(order, processor=GIVING, owner="b").extraction.artifacts == ()


@pytest.mark.parametrize("path", ["/etc/hostname", "inner/../two", "inner", "not there"])
def test_nor_is_anything_else_made_of_it(
    do: Do, host: ProcessorHost, into: Path, path: str
) -> None:
    with pytest.raises(ChildCrashed, match="makes no sense"):
        do(json.dumps({"do": "files", "made": [path]}), processor=GIVING, searchable_to=into)
    assert host.pid is None
    assert list(into.iterdir()) == []


def test_five_hundred_are_the_most(give: Give, into: Path) -> None:
    assert len(give("files", *["two"] * 500, into=into).members) == 500
    with pytest.raises(ChildCrashed, match="makes no sense"):
        give("files", *["two"] * 501, into=None)


def test_pages_that_never_came_do_not_count(give: Give, host: ProcessorHost) -> None:
    with pytest.raises(ChildCrashed, match="makes no sense"):
        give("lie", into=None)
    assert host.pid is None


# --- without a child, for the child's part has to be played step by step ---


def collected(into: Path, *paths: str, should_stop: Callable[[], bool]) -> tuple[Member, ...]:
    members = [Member(name=path, path=path) for path in paths]
    return collect(members, room=into.parent, into=into, should_stop=should_stop)


@pytest.mark.parametrize("path", ["file", "folder/hostname", "pipe"])
def test_neither_links_nor_pipes_are_members(into: Path, path: str) -> None:
    (into.parent / "file").symlink_to("/etc/hostname")
    (into.parent / "folder").symlink_to("/etc")
    os.mkfifo(into.parent / "pipe")
    with pytest.raises(Improper):
        collected(into, path, should_stop=lambda: False)


def test_a_file_that_grows_while_it_is_copied_ends_at_the_limit(
    into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "WRITTEN_FILE_BYTES", 100)
    monkeypatch.setattr(collecting, "PIECE_BYTES", 10)
    growing = into.parent / "growing"
    growing.write_bytes(b"x")

    def grow() -> bool:
        with growing.open("ab") as file:
            file.write(b"xxx")
        return False

    with pytest.raises(Improper):
        collected(into, "growing", should_stop=grow)
    assert growing.stat().st_size < 400


def test_all_of_them_together_are_limited(into: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "MAX_TOTAL_BYTES", 100)
    (into.parent / "sixty").write_bytes(b"x" * 60)
    assert len(collected(into, "sixty", should_stop=lambda: False)) == 1
    (into / "1").unlink()
    with pytest.raises(Improper):
        collected(into, "sixty", "sixty", should_stop=lambda: False)


def test_copying_stops_when_told_to(into: Path) -> None:
    (into.parent / "large").write_bytes(b"x")
    with pytest.raises(Stopped):
        collected(into, "large", should_stop=lambda: True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who gives files away")
def test_a_hard_link_to_somebody_elses_file_is_no_member(into: Path) -> None:
    mine, theirs = into.parent / "mine", into.parent / "theirs"
    theirs.write_text("secret")
    os.chown(theirs, 12345, 12345)
    mine.hardlink_to(theirs)
    with pytest.raises(Improper):
        collected(into, "mine", should_stop=lambda: False)
