"""Submitting files over HTTP: what is taken, which files are refused, what is stored."""

import hashlib
import json
from pathlib import Path

import pytest
from rest_framework.test import APIClient

from apps.jobs import storage
from apps.jobs.advice import advice_on
from apps.jobs.models import BatchFile
from tests.jobs.forms import (
    BOUNDARY,
    SAMPLES,
    accepted,
    assert_nothing_stored,
    body,
    body_of,
    field,
    files_of,
    part,
    post,
    post_body,
    refusal,
    stored,
    zipped,
)

pytestmark = pytest.mark.once


@pytest.mark.parametrize("count", [1, 50])
def test_takes_one_to_fifty_files(alice_api: APIClient, data_dir: Path, count: int) -> None:
    contents = [b"text of file %d\n" % number for number in range(count)]
    answer = post(alice_api, *(part(each, f"{n}.txt") for n, each in enumerate(contents)))
    assert answer.status_code == 202
    job = answer.json()
    assert answer["Location"] == job["url"] == f"http://testserver/api/batch/jobs/{job['id']}"
    assert job["counts"]["total"] == job["counts"]["queued"] == count
    assert job["rejected"] == []
    files = files_of(alice_api, job)
    assert [file["name"] for file in files] == [f"{n}.txt" for n in range(count)]
    assert [file["sha256"] for file in files] == [hashlib.sha256(c).hexdigest() for c in contents]
    assert [file["size_bytes"] for file in files] == [len(c) for c in contents]
    for file in BatchFile.objects.select_related("content"):
        assert hashlib.sha256(storage.path_of(file.content).read_bytes()).hexdigest() == file.sha256
    assert not list((data_dir / "incoming").iterdir())


def test_a_51st_file_refuses_the_batch_and_nothing_is_stored(
    alice_api: APIClient, data_dir: Path
) -> None:
    answer = post(alice_api, *(part(name=f"{n}.txt") for n in range(51)))
    assert "at most 50" in refusal(answer, 413, "batch.too_many_files")["detail"]
    assert_nothing_stored(data_dir)


def test_the_51st_file_counts_even_when_it_is_a_bad_one(
    alice_api: APIClient, data_dir: Path
) -> None:
    answer = post(alice_api, *(part(name=f"{n}.txt") for n in range(50)), part(name=""))
    refusal(answer, 413, "batch.too_many_files")
    assert_nothing_stored(data_dir)


def test_one_byte_more_than_fifty_megabytes_is_rejected_and_the_others_go_on(
    alice_api: APIClient, data_dir: Path
) -> None:
    limit = 50 * 1024 * 1024
    fits, too_large = b"a" * (limit - 1) + b"\n", b"a" * limit + b"\n"
    job = accepted(alice_api, part(fits, "fits.txt"), part(too_large, "large.txt"), part())
    assert job["counts"]["queued"] == 2
    [rejected] = job["rejected"]
    assert (rejected["field"], rejected["code"]) == ("large.txt", "document.too_large")
    assert "50 MB" in rejected["detail"]
    fine, large, _ = files_of(alice_api, job)
    assert (fine["state"], fine["size_bytes"]) == ("queued", limit)
    assert (large["state"], large["size_bytes"]) == ("rejected", limit + 1)
    assert len(stored(data_dir)) == 2


BAD_CONTENTS = {
    "empty": (b"", "a.txt", "document.empty"),
    "a ZIP called PDF": (zipped(a="b"), "a.pdf", "document.mislabelled"),
    "a ZIP called DOCX": (zipped(a="b"), "a.docx", "document.mislabelled"),
    "a PDF called PNG": (b"%PDF-1.7\n", "a.png", "document.mislabelled"),
    "a PDF called TXT": (b"%PDF-1.7\n", "a.txt", "document.mislabelled"),
    "ELF": (b"\x7fELF\x02\x01\x01" + bytes(60), "a.pdf", "document.unsupported"),
    "a script called TXT": (b"#!/bin/sh\nrm -rf /\n", "a.txt", "document.unsupported"),
    "no extension": (b"text", "README", "document.unsupported"),
    "an unknown extension": (b"text", "a.exe", "document.unsupported"),
    "two extensions": (b"text", "a.pdf.exe", "document.unsupported"),
}


@pytest.mark.parametrize("kind", BAD_CONTENTS)
def test_a_bad_file_becomes_a_rejected_row_and_the_others_go_on(
    alice_api: APIClient, data_dir: Path, kind: str
) -> None:
    content, name, code = BAD_CONTENTS[kind]
    job = accepted(alice_api, part(content, name), part(name="fine.txt"))
    assert job["counts"]["rejected"] == 1
    assert [(r["field"], r["code"]) for r in job["rejected"]] == [(name, code)]
    bad, fine = files_of(alice_api, job)
    assert bad["state"] == "rejected"
    assert (bad["error"]["code"], bad["error"]["class"]) == (code, "permanent")
    assert bad["error"]["advice"] == advice_on(code)
    assert bad["error"]["detail"].endswith(".")
    assert bad["content_url"] is None
    assert fine["state"] == "queued"
    assert len(stored(data_dir)) == 1


BAD_NAMES: dict[str, str | bytes] = {
    "up and away": "../../etc/passwd",
    "absolute": "/etc/passwd.txt",
    "a folder": "a/b.txt",
    "Windows": "..\\x.txt",
    "a Windows drive": "C:\\x\\a.txt",
    "NUL": b"a\x00.txt",
    "a line break": b"a\n.txt",
    "a carriage return": b"a\r.txt",
    "escape": b"a\x1b[31m.txt",
    "C1": "a\x85.txt",
    "empty": "",
    "blank": "   ",
    "a dot": ".",
    "two dots": "..",
    "300 characters": "n" * 296 + ".txt",
    "300 wide characters": "\N{GRINNING FACE}" * 296 + ".txt",
}


@pytest.mark.parametrize("kind", BAD_NAMES)
def test_a_bad_name_is_rejected_with_a_reason_and_the_others_go_on(
    alice_api: APIClient, data_dir: Path, kind: str
) -> None:
    job = accepted(alice_api, part(name=BAD_NAMES[kind]), part(name="fine.txt"))
    assert [r["code"] for r in job["rejected"]] == ["document.name"]
    bad, fine = files_of(alice_api, job)
    assert (bad["state"], fine["state"]) == ("rejected", "queued")
    assert "\x00" not in bad["name"]
    assert len(stored(data_dir)) == 1


EXTENDED_NAMES = {  # RFC 5987 values: (what follows filename*=, the name or None when refused)
    "unicode": (b"UTF-8''%C3%A9t%C3%A9.txt", "été.txt"),
    "a path": (b"UTF-8''..%2F..%2Fetc%2Fpasswd.txt", None),
    "NUL": (b"UTF-8''a%00.txt", None),
    "a line break": (b"UTF-8''a%0D%0A.txt", None),
    "not UTF-8": (b"UTF-8''caf%E9.txt", "caf\ufffd.txt"),
    "half a surrogate pair": (b"unicode_escape''%5Cud800.txt", "?.txt"),
}


@pytest.mark.parametrize("kind", EXTENDED_NAMES)
def test_extended_names_are_judged_like_plain_ones(alice_api: APIClient, kind: str) -> None:
    raw, expected = EXTENDED_NAMES[kind]
    disposition = b'form-data; name="file"; filename="ascii.txt"; filename*=' + raw
    job = accepted(alice_api, part(disposition=disposition), part(name="fine.txt"))
    first, _ = files_of(alice_api, job)
    if expected is None:
        assert (first["state"], first["error"]["code"]) == ("rejected", "document.name")
    else:
        assert (first["state"], first["name"]) == ("queued", expected)


GOOD_NAMES = {
    "in another encoding": ("café.txt".encode("latin-1"), "caf\ufffd.txt"),
    "unicode": ("Übersicht 総括.txt".encode(), "Übersicht 総括.txt"),
    "a quote": (rb"the \"last\" one.txt", 'the "last" one.txt'),
    "a quote from a browser": (b"the %22last%22 one.txt", 'the "last" one.txt'),
    "a per cent sign": (b"50%25 %0D%0a.txt", "50%25 %0D%0a.txt"),
    "a semicolon": (b"a;b=c.txt", "a;b=c.txt"),
    "spaces around": (b" a.txt", " a.txt"),
    "markup": (b"<script>&amp;.txt", "<script>&amp;.txt"),
    "200 wide characters": (("\N{GRINNING FACE}" * 196 + ".txt").encode(), None),
}


@pytest.mark.parametrize("kind", GOOD_NAMES)
def test_names_are_kept_as_they_came(alice_api: APIClient, kind: str) -> None:
    raw, expected = GOOD_NAMES[kind]
    job = accepted(alice_api, part(name=raw), part(name="other.txt"))
    first, other = files_of(alice_api, job)
    assert (first["state"], first["name"]) == ("queued", expected or raw.decode())
    assert other["position"] == 2


def test_a_part_without_a_file_name_is_a_nameless_file(alice_api: APIClient) -> None:
    job = accepted(alice_api, field("file", "text"), part(name="fine.txt"))
    assert [(r["field"], r["code"]) for r in job["rejected"]] == [("", "document.name")]


def test_the_same_name_twice_makes_two_files(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(b"one", "a.txt"), part(b"two", "a.txt"))
    assert [file["name"] for file in files_of(alice_api, job)] == ["a.txt", "a.txt"]


def test_the_same_bytes_twice_are_stored_once(alice_api: APIClient, data_dir: Path) -> None:
    job = accepted(alice_api, part(b"same", "a.txt"), part(b"same", "b.txt"))
    first, second = files_of(alice_api, job)
    assert first["sha256"] == second["sha256"]
    assert len(stored(data_dir)) == 1
    for file in (first, second):
        got = alice_api.get(file["content_url"])
        assert body(got) == b"same"


def test_files_and_fields_may_come_in_any_order(alice_api: APIClient) -> None:
    job = accepted(
        alice_api, field("name", "August"), part(), field("priority", "high"), part(b"b", "b.txt")
    )
    assert (job["name"], job["priority"], job["counts"]["total"]) == ("August", "high", 2)


def test_text_around_the_parts_is_passed_over(alice_api: APIClient) -> None:
    form = b"preamble\r\n" + body_of([part()]) + b"epilogue " * 100
    assert post_body(alice_api, form).status_code == 202


def test_a_boundary_may_be_quoted_and_the_type_in_capitals(alice_api: APIClient) -> None:
    content_type = f'Multipart/Form-Data; boundary="{BOUNDARY}"'
    assert post_body(alice_api, body_of([part()]), content_type).status_code == 202


def test_content_that_looks_like_a_delimiter_stays_content(alice_api: APIClient) -> None:
    content = b"--\r\n--a-boundary\r\n\r\n" * 5000 + b"\r\n\n\r"
    job = accepted(alice_api, part(content, "a.txt"))
    [file] = files_of(alice_api, job)
    assert file["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_name_of_200_characters_is_kept_and_its_control_characters_are_not(
    alice_api: APIClient,
) -> None:
    job = accepted(alice_api, part(), field("name", " \x00\x1b" + "n" * 200 + " "))
    assert job["name"] == "n" * 200


UNSEEN = {
    "fillers": ("\u3164\u115f \uffa0", ""),
    "joiners alone": ("\u200c\u200d", ""),
    "empty Braille": ("\u2800", ""),
    "joiners inside": (
        "\u200c\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645\u200d",
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ),
    "an emoji of several": ("👩\u200d💻", "👩\u200d💻"),
    "a filler inside": ("a\u3164b", "a\u3164b"),
    "what turns the direction": ("a\u202eb", "ab"),
}


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_job_name_in_which_nothing_can_be_seen_is_none(alice_api: APIClient, kind: str) -> None:
    given, kept = UNSEEN[kind]
    assert accepted(alice_api, part(), field("name", given))["name"] == kept


def test_a_kind_that_the_operation_does_not_take_is_rejected(alice_api: APIClient) -> None:
    pdf = (SAMPLES / "harbour-log.pdf").read_bytes()
    job = accepted(alice_api, field("operation", "ocr"), part(), part(pdf, "a.pdf"))
    assert [(r["field"], r["code"]) for r in job["rejected"]] == [("a.txt", "document.unsupported")]
    assert job["counts"]["queued"] == 1


def test_answers_are_whole_for_people_in_a_browser_too(alice_api: APIClient) -> None:
    html = {"Accept": "text/html"}
    assert post(alice_api, part(), **html).status_code == 202
    assert post(alice_api, field("name", "x"), **html).status_code == 400


def test_options_are_stored_as_they_were_understood(alice_api: APIClient) -> None:
    options = {"languages": ["eng", "deu"], "pages": "1-3, 7", "ocr": "never"}
    job = accepted(alice_api, part(), field("options", json.dumps(options)))
    assert job["options"] == {**options, "pages": "1-3,7"}
