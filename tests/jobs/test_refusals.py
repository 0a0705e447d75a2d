"""Submissions that are refused as a whole: with a reason, and with nothing stored."""

from pathlib import Path

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.jobs.models import BatchJob
from tests.jobs.forms import (
    FORM_TYPE,
    UPLOAD,
    assert_nothing_stored,
    body_of,
    field,
    part,
    post,
    post_body,
    refusal,
    stored,
)

pytestmark = pytest.mark.once


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


class BrokenConnection:
    """A body whose connection breaks, as servers that raise for it tell it."""

    def __init__(self, sent: bytes) -> None:
        self._sent = iter([sent])

    def read(self, _size: int) -> bytes:
        for sent in self._sent:
            return sent
        raise OSError("the connection was reset")

    readline = read


def test_a_connection_that_breaks_is_no_full_disk(
    alice_api: APIClient, data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    form = body_of([part(b"x" * 100, "a.txt")])
    broken = {"wsgi.input": BrokenConnection(form[:100])}
    answer = alice_api.generic("POST", UPLOAD, form, FORM_TYPE, **broken)
    refusal(answer, 400, "request.incomplete")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
    assert_nothing_stored(data_dir)


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
