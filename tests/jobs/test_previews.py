"""Pictures of pages: drawn on demand by a real child, kept, bounded, and gone with their bytes."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.core.errors import NotFound, Unavailable
from apps.jobs import darkroom, previews, storage
from apps.jobs.darkroom import Darkroom, Order
from apps.jobs.models import BatchFile, BatchJob, Blob
from apps.jobs.previews import NoPicture, page_picture
from apps.jobs.services import cancel_job, delete_job
from apps.processors.errors import BadDocument
from apps.processors.errors import Unavailable as NoReader
from apps.processors.pictures import WIDTHS
from apps.processors.protocol import Member, Options
from tests.batches import owner_of
from tests.jobs.forms import SAMPLES, accepted, body, field, part, refusal, stored

pytestmark = pytest.mark.once

Make = Callable[..., BatchFile]


@pytest.fixture
def send(alice_api: APIClient) -> Make:
    """A file of Acme's with the bytes of a sample."""

    def make(sample: str = "survey.png", **options: str) -> BatchFile:
        content = (SAMPLES / sample).read_bytes()
        fields = [field(name, value) for name, value in options.items()]
        job = accepted(alice_api, part(content, sample), *fields)
        return BatchFile.objects.select_related("content", "job").get(job=job["id"])

    return make


def image(api: APIClient, file: BatchFile, page: object = 1, query: str = "", **more: Any) -> Any:
    return api.get(f"/api/batch/files/{file.pk}/pages/{page}/image{query}", **more)


def kept(data_dir: Path) -> list[str]:
    return [Path(name).name for name in stored(data_dir / "previews")]


WEBP = b"RIFF....WEBP and so on"


class Drawing:
    """A darkroom that needs no time: fails with `error`, or gives files with `content`."""

    def __init__(
        self, error: Exception | None = None, content: bytes = WEBP, name: str = ""
    ) -> None:
        self.error, self.content = error, content
        self.names = [name] if name else list(map(str, WIDTHS))
        self.meanwhile: Callable[[], object] = lambda: None

    def draw(self, order: Order) -> tuple[Member, ...]:
        self.meanwhile()
        if self.error is not None:
            raise self.error
        paths = [order.into / str(number) for number in range(len(self.names))]
        for path in paths:
            path.write_bytes(self.content)
        named = zip(self.names, paths, strict=True)
        return tuple(Member(name=name, path=str(path)) for name, path in named)


@pytest.fixture
def drawing(monkeypatch: pytest.MonkeyPatch) -> Drawing:
    quick = Drawing()
    monkeypatch.setattr(previews, "darkroom", quick)
    return quick


# --- asked for ----------------------------------------------------------------------------------


def test_a_page_is_drawn_once_and_then_served(
    alice_api: APIClient, send: Make, data_dir: Path
) -> None:
    file = send("harbour-log.pdf")
    answer = image(alice_api, file, 2)
    picture = body(answer)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/webp")
    assert picture[:4] + picture[8:12] == b"RIFFWEBP"
    assert answer["Cache-Control"] == "private, max-age=3600"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert kept(data_dir) == ["2-1600.webp", "2-320.webp", "2-960.webp"]
    assert not list((data_dir / "incoming").iterdir())
    (storage.previews_of(file.content) / "2-960.webp").write_bytes(b"the one that was kept")
    assert body(image(alice_api, file, 2, "?width=960")) == b"the one that was kept"
    known = image(alice_api, file, 2, headers={"If-None-Match": answer["ETag"]})
    assert (known.status_code, body(known)) == (304, b"")
    assert (known["ETag"], known["Cache-Control"]) == (answer["ETag"], answer["Cache-Control"])
    assert image(alice_api, file, 2, "?width=320")["ETag"] != answer["ETag"]


@pytest.mark.parametrize("query", ["?width=321", "?width=", "?width=0960", "?height=3"])
def test_only_some_widths(alice_api: APIClient, send: Make, query: str) -> None:
    problem = refusal(image(alice_api, send(), 1, query), 400, "request.invalid")
    assert problem["errors"]


@pytest.mark.parametrize("page", ["0", "2", "1000000", "9" * 30])
def test_pages_that_are_not_there(alice_api: APIClient, send: Make, page: str) -> None:
    refusal(image(alice_api, send(), page), 404, "request.not_found")


@pytest.mark.parametrize("page", ["x", "-1", "1.5"])
def test_what_is_no_page_number(alice_api: APIClient, send: Make, page: str) -> None:
    assert image(alice_api, send(), page).status_code == 404


def test_other_kinds_have_no_pictures(alice_api: APIClient, send: Make) -> None:
    refusal(image(alice_api, send("knots.txt")), 404, "request.not_found")


def test_other_organizations_have_no_such_page(
    alice_api: APIClient, charlie_api: APIClient, send: Make, drawing: Drawing
) -> None:
    file = send()
    assert body(image(alice_api, file))
    refusal(image(charlie_api, file), 404, "request.not_found")


def test_another_organizations_same_bytes_are_drawn_apart(
    alice_api: APIClient, charlie_api: APIClient, send: Make, drawing: Drawing, data_dir: Path
) -> None:
    assert body(image(alice_api, send()))
    job = accepted(charlie_api, part((SAMPLES / "survey.png").read_bytes(), "survey.png"))
    theirs = BatchFile.objects.get(job=job["id"])
    assert not storage.previews_of(theirs.content).exists()


# --- what cannot be drawn -----------------------------------------------------------------------


def test_a_page_that_cannot_be_drawn_is_not_tried_again_for_a_while(
    alice_api: APIClient, send: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = send("locked.pdf")
    problem = refusal(image(alice_api, file), 422, "file.no_picture")
    assert problem["detail"] == "The PDF is protected by a password."
    monkeypatch.setattr(previews, "darkroom", Drawing(AssertionError("drawn again")))
    assert refusal(image(alice_api, file), 422, "file.no_picture")["detail"] == problem["detail"]
    marker = storage.previews_of(file.content) / "1.failed"
    os.utime(marker, (1, 1))
    monkeypatch.setattr(previews, "darkroom", Drawing(BadDocument("document.corrupt", "Other.")))
    assert refusal(image(alice_api, file), 422, "file.no_picture")["detail"] == "Other."


@pytest.mark.parametrize(
    ("content", "name"),
    [(b"<script>", "320"), (WEBP, "321"), (WEBP, "../320"), (WEBP + bytes(17 * 1024**2), "320")],
    ids=["no picture", "no width", "elsewhere", "large"],
)
def test_nothing_of_what_the_child_says_is_believed(
    send: Make, drawing: Drawing, data_dir: Path, content: bytes, name: str
) -> None:
    drawing.content, drawing.names = content, [name]
    with pytest.raises(NoPicture, match="no picture"):
        page_picture(send(), number=1, width=320)
    assert kept(data_dir) == ["1.failed"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NoReader("processor.unavailable", "It did not start."), "server.unavailable"),
        (OSError(28, "No space left on device"), "storage.full"),
    ],
)
def test_what_may_pass_is_not_remembered(
    alice_api: APIClient,
    send: Make,
    drawing: Drawing,
    data_dir: Path,
    error: Exception,
    code: str,
) -> None:
    file = send()
    drawing.error = error
    answer = image(alice_api, file)
    refusal(answer, 503, code)
    assert int(answer["Retry-After"]) > 0
    assert kept(data_dir) == []


def test_bytes_that_are_gone(send: Make) -> None:
    file = send()
    storage.path_of(file.content).unlink()
    with pytest.raises(NotFound, match="not in storage any more"):
        page_picture(file, number=1, width=320)


# --- passwords ----------------------------------------------------------------------------------


def test_what_a_password_opened_is_for_its_job_alone(alice_api: APIClient, send: Make) -> None:
    opened = send("locked.pdf", options='{"password": "lighthouse"}')
    assert body(image(alice_api, opened))
    refusal(image(alice_api, send("locked.pdf")), 422, "file.no_picture")
    BatchJob.objects.filter(pk=opened.job_id).update(sealed_password="of another key")
    assert body(image(alice_api, opened))  # as it was drawn
    refusal(image(alice_api, opened, 2), 422, "file.no_picture")


# --- kept and removed ---------------------------------------------------------------------------


def test_pictures_go_with_their_bytes(
    acme: Organization, send: Make, drawing: Drawing, data_dir: Path
) -> None:
    file = send()
    page_picture(file, number=1, width=320)
    assert len(kept(data_dir)) == 3
    job = cancel_job(actor=owner_of(acme), job=file.job)
    delete_job(actor=owner_of(acme), job=job)
    storage.release(list(Blob.objects.values_list("pk", flat=True)))
    assert not Blob.objects.exists()
    assert kept(data_dir) == []


def test_what_is_deleted_while_it_is_drawn_leaves_nothing(
    send: Make, drawing: Drawing, data_dir: Path
) -> None:
    file = send()
    drawing.meanwhile = storage.path_of(file.content).unlink
    with pytest.raises(NotFound):
        page_picture(file, number=1, width=320)
    assert kept(data_dir) == []


def test_pictures_of_nothing_are_orphans(send: Make, drawing: Drawing, data_dir: Path) -> None:
    file = send()
    page_picture(file, number=1, width=320)
    storage.remove_orphans()
    assert len(kept(data_dir)) == 3
    storage.path_of(file.content).unlink()
    storage.remove_orphans()
    assert kept(data_dir) == []


@pytest.mark.parametrize("widths", [(1600, 960), (960, 1600)])
def test_what_was_not_asked_for_the_longest_goes_first(
    send: Make, drawing: Drawing, data_dir: Path, settings: Settings, widths: tuple[int, int]
) -> None:
    file = send()
    page_picture(file, number=1, width=320)
    folder = storage.previews_of(file.content)
    for age, name in enumerate(f"1-{width}.webp" for width in (*widths, 320)):
        (folder / name).write_bytes(bytes(4096))
        os.utime(folder / name, (time.time() - 7200 - age,) * 2)
    page_picture(file, number=1, width=320)  # asked for just now
    settings.PREVIEW_CACHE_BYTES = 2 * 4096
    assert previews.trim() == 4096
    assert kept(data_dir) == sorted([f"1-{widths[0]}.webp", "1-320.webp"])
    assert previews.trim() == 0
    settings.PREVIEW_CACHE_BYTES = 0
    previews.trim()
    assert kept(data_dir) == []


def test_an_empty_picture_is_drawn_anew(send: Make, drawing: Drawing) -> None:
    file = send()
    picture = page_picture(file, number=1, width=320)
    picture.write_bytes(b"")
    assert page_picture(file, number=1, width=320).read_bytes() == WEBP


# --- the darkroom -------------------------------------------------------------------------------


def an_order(folder: Path, kind: str = "png", *, is_wanted: bool = True) -> Order:
    folder.mkdir(exist_ok=True)
    return Order(
        source=SAMPLES / "survey.png",
        kind=kind,
        options=Options(pages="1"),
        owner="acme",
        into=folder,
        is_wanted=lambda: is_wanted,
    )


def darkrooms() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "darkroom"]


@pytest.mark.once
def test_its_child_is_there_while_it_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(darkroom, "IDLE_SECONDS", 0.05)
    room = Darkroom()
    for number in range(2):  # one after another
        before = set(darkrooms())
        order = an_order(tmp_path, is_wanted=number == 0)
        assert len(room.draw(order)) == (3 if number == 0 else 0)
        mine = set(darkrooms()) - before
        for thread in mine:
            thread.join(10)
        assert not mine & set(darkrooms())


@pytest.mark.once
def test_what_is_not_wanted_any_more_is_not_drawn(tmp_path: Path) -> None:
    assert Darkroom().draw(an_order(tmp_path, is_wanted=False)) == ()


@pytest.mark.once
def test_few_may_wait_and_not_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(darkroom, "MAX_WAITING", 1)
    monkeypatch.setattr(darkroom, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(darkroom, "IDLE_SECONDS", 0.05)
    before = set(darkrooms())
    held: list[Order] = []
    blocked, go_on = threading.Event(), threading.Event()

    def hold(host: object, order: Order) -> tuple[Member, ...]:
        held.append(order)
        blocked.set()
        go_on.wait(10)
        return ()

    monkeypatch.setattr(darkroom, "_drawn", hold)
    room = Darkroom()
    told: list[Unavailable] = []

    def ask() -> None:
        try:
            room.draw(an_order(tmp_path))
        except Unavailable as error:
            told.append(error)

    first = threading.Thread(target=ask)
    first.start()
    assert blocked.wait(5)
    second = threading.Thread(target=ask)
    second.start()
    time.sleep(0.05)
    with pytest.raises(Unavailable) as refused:
        room.draw(an_order(tmp_path))
    assert refused.value.retry_after
    first.join()
    second.join()
    go_on.set()
    for thread in set(darkrooms()) - before:
        thread.join(10)
    assert len(told) == 2
    assert len(held) == 1  # the second had given up before its turn came
