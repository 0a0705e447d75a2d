"""What a file's page shows besides text: pictures, tables, what was found inside, and where."""

import re

import pytest
from django.test import Client
from rest_framework.test import APIClient

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.models import BatchFile
from apps.processors.protocol import Page, Table
from apps.queue.states import State
from apps.web import files
from apps.web.file_tables import ShownTable, shown_tables
from tests.batches import submit
from tests.jobs.containers import submit_files
from tests.jobs.forms import SAMPLES, accepted, part
from tests.jobs.runs import fail_next, read_next
from tests.web.file_pages import document, read_pages, shown, words

pytestmark = pytest.mark.once


def sent(api: APIClient, sample: str) -> None:
    accepted(api, part((SAMPLES / sample).read_bytes(), sample))


# --- pictures -----------------------------------------------------------------------------------


def test_a_picture_of_the_chosen_page_stands_beside_its_text(
    alice_web: Client, alice_api: APIClient
) -> None:
    sent(alice_api, "harbour-log.pdf")
    file = read_pages(Page(number=1, text="one"), Page(number=3, text="three"))
    page = shown(alice_web, file, "?page=3")
    address = f"/api/batch/files/{file.pk}/pages/3/image"
    picture = re.search(r'id="page-picture"[^>]*><img ([^>]*)>', page)
    assert picture
    assert f'src="{address}?width=960"' in picture[1]
    assert 'width="210" height="297" loading="lazy"' in picture[1]
    assert 'alt="Page 3 of harbour-log.pdf, as a picture"' in picture[1]
    assert f'href="{address}?width=1600"' in page
    storage.path_of(file.content).unlink()
    assert "/image" not in shown(alice_web, file)


@pytest.mark.parametrize(
    ("width", "shape"), [("1200", (1200, 900)), ("0", files.A4), ("1e9", files.A4)]
)
def test_room_is_kept_for_the_picture(
    alice_web: Client, alice_api: APIClient, width: str, shape: tuple[int, int]
) -> None:
    sent(alice_api, "survey.png")
    page = Page(number=1, text="a", ocr=True, confidence=88.0)
    file = read_pages(page, metadata={"width": width, "height": "900"})
    told = shown(alice_web, file)
    assert f'width="{shape[0]}" height="{shape[1]}" loading' in told
    assert "Recognized 88 % sure" in words(told)


def test_other_kinds_have_no_picture(alice_web: Client, acme: Organization) -> None:
    submit(acme, "text")
    assert "/image" not in shown(alice_web, read_next())


def test_nor_has_what_could_not_be_read(alice_web: Client, alice_api: APIClient) -> None:
    sent(alice_api, "locked.pdf")
    assert "/image" not in shown(alice_web, fail_next())


# --- tables and units ---------------------------------------------------------------------------

FEES: Table = (("Boat", ""), ("<b>Gull</b>", "12"))


def test_sheets_are_tables_with_names(alice_web: Client, acme: Organization) -> None:
    submit(acme, "fees")
    BatchFile.objects.update(kind="xlsx")
    file = read_pages(
        Page(number=1, text="Boat Gull 12", label="Fees & more", tables=(FEES,)),
        Page(number=2, text="", label="Empty"),
    )
    page = shown(alice_web, file)
    assert '<th scope="col" dir="auto">Boat</th><td></td>' in page
    assert '<td dir="auto">&lt;b&gt;Gull&lt;/b&gt;</td><td dir="auto">12</td>' in page
    assert document(page) == "Boat Gull 12"
    told = words(page)
    assert "Text Fees & more Previous sheet Sheet" in told
    assert "2 sheets" in told
    assert "As plain text" in told
    assert "No text on this sheet." in words(shown(alice_web, file, "?page=2"))
    assert "was read. This is sheet 1." in words(shown(alice_web, file, "?page=9"))


def test_tables_in_a_text_follow_it(alice_web: Client, acme: Organization) -> None:
    submit(acme, "letter")
    file = read_pages(Page(number=1, text="the letter", tables=(FEES,)))
    told = words(shown(alice_web, file))
    assert re.search("the letter The table in this text Boat", told)
    assert "As plain text" not in told


def test_large_tables_are_cut_and_say_so(alice_web: Client, acme: Organization) -> None:
    submit(acme, "many")
    large: Table = tuple(tuple(f"{row}x{column}" for column in range(31)) for row in range(103))
    file = read_pages(Page(number=1, text="a", tables=(large, *[FEES] * 20)))
    page = shown(alice_web, file)
    assert "99x29" in page
    assert "100x29" in page
    assert "101x0" not in page
    assert "1x30" not in page
    told = words(page)
    assert "…and 2 more rows and 1 more column: download JSON" in told
    assert "…and 1 more table: download JSON" in told


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([["a"], [], ["b", "c"]], ShownTable(["a", ""], [["", ""], ["b", "c"]], 0, 0)),
        ([["x" * 301]], ShownTable(["x" * 299 + "…"], [], 0, 0)),
    ],
)
def test_rows_are_made_equally_wide(table: list[list[str]], expected: ShownTable) -> None:
    assert shown_tables([[], [["", ""]], table]) == [expected]


# --- inside and outside -------------------------------------------------------------------------


@pytest.fixture
def box(acme: Organization) -> list[BatchFile]:
    """An archive that was read, and what was found in it: one read, one waiting, one refused."""
    texts = {"1.txt": b"box", "2.txt": b"one", "3.txt": b"two", "4.txt": b"three"}
    found = list(submit_files(acme, texts).files.order_by("position"))
    inside = [file.pk for file in found[1:]]
    read_pages()
    read_next()
    BatchFile.objects.filter(pk=found[0].pk).update(kind="zip", name="box & co.zip")
    BatchFile.objects.filter(pk__in=inside).update(parent=found[0].pk, depth=1)
    BatchFile.objects.filter(pk=found[3].pk).update(
        state="rejected", name="virus/<b>.exe", error_detail="Programs are not taken."
    )
    for file in found:
        file.refresh_from_db()
    return found


def test_an_archive_lists_what_is_inside(alice_web: Client, box: list[BatchFile]) -> None:
    page = shown(alice_web, box[0])
    told = words(page)
    assert "What is inside 3 files 2.txt TXT 3 bytes Succeeded" in told
    assert "3.txt" in told
    assert "Queued" in told
    assert "virus/<b>.exe Programs are not taken. Rejected" in told
    assert all(f'href="/files/{file.pk}"' in page for file in box[1:])
    assert "Download text" not in told
    assert 'id="text"' not in page
    assert re.search(r'id="members"[^>]* hx-get="[^"]*" hx-trigger="beat from:body"', page)
    BatchFile.objects.filter(state=State.QUEUED).update(state="cancelled")
    assert "hx-trigger" not in shown(alice_web, box[0])


def test_many_members_are_cut_and_counted(
    alice_web: Client, box: list[BatchFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_MEMBERS", 1)
    told = words(shown(alice_web, box[0]))
    assert "3 files" in told
    assert "…and 2 more: see the job" in told


def test_what_is_attached_to_a_mail_follows_its_text(
    alice_web: Client, box: list[BatchFile]
) -> None:
    BatchFile.objects.filter(pk=box[0].pk).update(kind="eml")
    told = words(shown(alice_web, box[0]))
    assert told.index("Text") < told.index("Attached 3 files")
    assert "0 parts" not in told


def test_a_member_leads_to_where_it_was_found(alice_web: Client, box: list[BatchFile]) -> None:
    page = shown(alice_web, box[1])
    assert f'id="to-parent" href="/files/{box[0].pk}"' in page
    assert "/ Found in box & co.zip / File 2 of 4" in words(page)
    assert "to-parent" not in shown(alice_web, box[0])
