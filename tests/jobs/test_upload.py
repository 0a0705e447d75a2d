"""Submitting files over HTTP: what is taken, what is refused and why, and what is stored."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.jobs import storage
from apps.jobs.models import BatchFile, BatchJob, Blob, IdempotencyKey
from tests.jobs.forms import (
    BOUNDARY,
    FORM_TYPE,
    SAMPLES,
    UPLOAD,
    accepted,
    body,
    body_of,
    field,
    files_of,
    part,
    post,
    post_body,
    stored,
    zipped,
)


def assert_nothing_stored(data_dir: Path) -> None:
    for model in (BatchJob, BatchFile, Blob, IdempotencyKey):
        assert not model.objects.exists(), model
    assert stored(data_dir) == []


def refusal(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem in `answer`, which must be of that status and code."""
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    return problem


# --- what is taken ------------------------------------------------------------------------------


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
    assert bad["error"] == {"code": code, "class": "permanent", "detail": bad["error"]["detail"]}
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


# --- what is refused ----------------------------------------------------------------------------


def test_all_bad_files_make_no_job(alice_api: APIClient, data_dir: Path) -> None:
    answer = post(alice_api, part(b"", "a.txt"), part(name="../b.txt"))
    problem = refusal(answer, 422, "batch.all_rejected")
    assert [(e["field"], e["code"]) for e in problem["errors"]] == [
        ("a.txt", "document.empty"),
        ("../b.txt", "document.name"),
    ]
    assert_nothing_stored(data_dir)


def test_no_file_is_a_bad_request(alice_api: APIClient, data_dir: Path) -> None:
    refusal(post(alice_api, field("name", "nothing")), 400, "batch.empty")
    refusal(post(alice_api), 400, "batch.empty")
    assert_nothing_stored(data_dir)


def test_a_file_in_another_field_is_a_bad_request(alice_api: APIClient, data_dir: Path) -> None:
    answer = post(alice_api, part(), part(field="files"))
    assert '"file"' in refusal(answer, 400, "request.malformed")["detail"]
    assert_nothing_stored(data_dir)


BAD_FIELDS = {
    "unknown field": ("colour", "blue", "colour"),
    "unknown operation": ("operation", "explode", "operation"),
    "empty operation": ("operation", "", "operation"),
    "unknown priority": ("priority", "urgent", "priority"),
    "a number as priority": ("priority", "5", "priority"),
    "a long name": ("name", "n" * 201, "name"),
    "a name in another encoding": ("name", b"caf\xe9", "name"),
    "a huge field": ("name", "n" * 3_000_000, "name"),
    "options that are not JSON": ("options", "{", "options"),
    "options that are a list": ("options", "[]", "options"),
    "deep options": ("options", "[" * 50_000, "options"),
    "an unknown option": ("options", '{"x": 1}', "options.x"),
    "half a surrogate pair": ("options", '{"\\ud800": 1}', "options.?"),
    "an unknown language": (
        "options",
        '{"languages": ["xx"]}',
        "options.languages",
    ),
    "languages as text": ("options", '{"languages": "eng"}', "options.languages"),
    "pages": ("options", '{"pages": "x"}', "options.pages"),
    "pages as a number": ("options", '{"pages": 1}', "options.pages"),
    "pages backwards": ("options", '{"pages": "3-1"}', "options.pages"),
    "ocr": ("options", '{"ocr": "maybe"}', "options.ocr"),
    "ocr as a list": ("options", '{"ocr": ["auto"]}', "options.ocr"),
}


@pytest.mark.parametrize("kind", BAD_FIELDS)
def test_a_bad_field_refuses_the_batch_and_is_named(
    alice_api: APIClient, data_dir: Path, kind: str
) -> None:
    name, value, told = BAD_FIELDS[kind]
    problem = refusal(post(alice_api, part(), field(name, value)), 400, "request.invalid")
    assert [error["field"] for error in problem["errors"]] == [told]
    assert "settings" not in problem["detail"]
    assert_nothing_stored(data_dir)


def test_a_field_given_twice_is_a_bad_request(alice_api: APIClient, data_dir: Path) -> None:
    answer = post(alice_api, part(), field("name", "a"), field("name", "b"))
    problem = refusal(answer, 400, "request.invalid")
    assert [error["field"] for error in problem["errors"]] == ["name"]
    assert_nothing_stored(data_dir)


def test_a_flood_of_fields_is_refused(alice_api: APIClient, data_dir: Path) -> None:
    answer = post(alice_api, part(), *(field(f"f{n}", "x") for n in range(2000)))
    assert answer.status_code == 400
    assert len(answer.content) < 10_000
    assert_nothing_stored(data_dir)


def test_a_name_of_200_characters_is_kept_and_its_control_characters_are_not(
    alice_api: APIClient,
) -> None:
    job = accepted(alice_api, part(), field("name", " \x00\x1b" + "n" * 200 + " "))
    assert job["name"] == "n" * 200


def test_unknown_query_parameters_are_named(alice_api: APIClient, data_dir: Path) -> None:
    answer = alice_api.generic("POST", f"{UPLOAD}?priority=high", body_of([part()]), FORM_TYPE)
    problem = refusal(answer, 400, "request.invalid")
    assert [error["field"] for error in problem["errors"]] == ["priority"]
    assert_nothing_stored(data_dir)


@pytest.mark.parametrize("operation", ["deep-analysis", "cost-analysis", "ingest", "transcribe"])
def test_an_operation_that_is_not_built_is_unavailable(
    alice_api: APIClient, data_dir: Path, operation: str
) -> None:
    answer = post(alice_api, part(), field("operation", operation))
    refusal(answer, 422, "operation.unavailable")
    assert_nothing_stored(data_dir)


def test_a_kind_that_the_operation_does_not_take_is_rejected(alice_api: APIClient) -> None:
    pdf = (SAMPLES / "harbour-log.pdf").read_bytes()
    job = accepted(alice_api, field("operation", "ocr"), part(), part(pdf, "a.pdf"))
    assert [(r["field"], r["code"]) for r in job["rejected"]] == [("a.txt", "document.unsupported")]
    assert job["counts"]["queued"] == 1


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/x-www-form-urlencoded", "multipart/mixed", "text/plain", ""],
)
def test_what_is_not_a_form_is_an_unsupported_media_type(
    alice_api: APIClient, content_type: str
) -> None:
    answer = post_body(alice_api, b"{}", content_type)
    refusal(answer, 415, "request.unsupported_media_type")


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=other",
        f"multipart/form-data; boundary={'b' * 300}",
        "multipart/form-data; boundary=\u00e9",
    ],
)
def test_a_wrong_boundary_is_a_bad_request(
    alice_api: APIClient, data_dir: Path, content_type: str
) -> None:
    answer = post_body(alice_api, body_of([part()]), content_type)
    assert answer.status_code == 400, answer.content
    assert answer.json()["code"] in ("request.malformed", "request.incomplete")
    assert_nothing_stored(data_dir)


MALFORMED = {
    "no header": b"\r\nsome text",
    "no disposition": b"Content-Type: text/plain\r\n\r\nsome text",
    "no field name": b'Content-Disposition: form-data; filename="a.txt"\r\n\r\nsome text',
    "no end of the header": b'Content-Disposition: form-data; name="file"',
    "an endless header": b"Content-Disposition: " + b"x" * 100_000 + b"\r\n\r\nsome text",
    "a name in no encoding": part(disposition=b"form-data; name=\"file\"; filename*=nope''a.txt"),
    "base64": b"Content-Transfer-Encoding: base64\r\n" + part(b"c29tZSB0ZXh0"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_part_that_cannot_be_read_refuses_the_batch_and_is_not_dropped(
    alice_api: APIClient, data_dir: Path, kind: str
) -> None:
    answer = post(alice_api, part(name="fine.txt"), MALFORMED[kind])
    refusal(answer, 400, "request.malformed")
    assert_nothing_stored(data_dir)


def test_a_body_that_ends_early_is_refused_wherever_it_ends(
    alice_api: APIClient, data_dir: Path
) -> None:
    whole = body_of([part(name="a.txt"), field("name", "x"), part(b"b" * 300, "b.txt")])
    closed = whole.rindex(b"--\r\n") + 2  # the line break after it may be missing
    for length in [*range(1, closed, 23), closed - 2, closed - 1]:
        answer = post_body(alice_api, whole[:length])
        assert answer.status_code == 400, (length, answer.content)
        assert_nothing_stored(data_dir)
    assert post_body(alice_api, whole[:closed]).status_code == 202


def test_the_length_must_be_told_and_may_not_pass_the_limit(
    alice_api: APIClient, data_dir: Path, settings: Settings
) -> None:
    form = body_of([part()])
    for length in ("", "x", "-1", "²"):
        answer = alice_api.generic("POST", UPLOAD, form, FORM_TYPE, CONTENT_LENGTH=length)
        refusal(answer, 411, "request.length_required")
    settings.BATCH_MAX_FILE_BYTES = settings.BATCH_MAX_FILES = 1
    answer = alice_api.generic("POST", UPLOAD, form, FORM_TYPE, CONTENT_LENGTH=str(1024**2 + 2))
    refusal(answer, 413, "batch.too_large")
    assert_nothing_stored(data_dir)


def test_a_nearly_full_disk_is_told_before_the_body_is_read(
    alice_api: APIClient, data_dir: Path, settings: Settings
) -> None:
    settings.STORAGE_MIN_FREE_BYTES = 1024**5
    answer = post_body(alice_api, b"this is no form at all and nobody reads it")
    refusal(answer, 503, "storage.full")
    assert int(answer["Retry-After"]) > 0
    assert_nothing_stored(data_dir)


def test_data_that_cannot_be_written_is_told_as_full_storage(
    alice_api: APIClient, data_dir: Path
) -> None:
    """A file where the directory should be: as root no permission would stop the writing."""
    data_dir.mkdir()
    for name in ("incoming", "blobs"):
        (data_dir / name).touch()
        refusal(post(alice_api, part()), 503, "storage.full")
        assert stored(data_dir) == [name]
        (data_dir / name).unlink()
    assert not BatchJob.objects.exists()


def test_readers_may_not_submit_and_their_body_is_not_read(
    bob_api: APIClient, data_dir: Path
) -> None:
    refusal(post(bob_api, part()), 403, "auth.forbidden")
    assert_nothing_stored(data_dir)


def test_answers_are_whole_for_people_in_a_browser_too(alice_api: APIClient) -> None:
    html = {"Accept": "text/html"}
    assert post(alice_api, part(), **html).status_code == 202
    assert post(alice_api, field("name", "x"), **html).status_code == 400


def test_options_are_stored_as_they_were_understood(alice_api: APIClient) -> None:
    options = {"languages": ["eng", "deu"], "pages": "1-3, 7", "ocr": "never"}
    job = accepted(alice_api, part(), field("options", json.dumps(options)))
    assert job["options"] == {**options, "pages": "1-3,7"}
