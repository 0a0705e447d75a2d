"""Lines by themselves: nothing from outside begins one, and what opens doors is in none."""

import json
import logging
import subprocess
import sys
import time
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import send_mail
from django.http import HttpRequest, StreamingHttpResponse
from django.test import RequestFactory
from django.urls import resolve
from pytest_django import Settings

from apps.core import checks, context
from apps.core.exchange import Exchange, shown_path, tell_at_end
from apps.core.logs import JSON, PRETTY, as_line, formatter, redacted
from apps.health.console import Console, Transcript
from config.env import at_least_warning, log_format
from tests.logs.service import Service
from tests.logs.sink import Sink
from tests.processes import BASE_DIR

pytestmark = pytest.mark.once

JOB = "/jobs/0195d0a3-9c1e-7c4e-8f5e-0123456789ab"
TOKEN = "a-token-from-a-mail:1tZ0aB:signed"


def record(message: str, *args: object, error: BaseException | None = None) -> logging.LogRecord:
    trace = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord("apps.some", logging.WARNING, "", 0, message, args, trace)


def written(form: str, *given: Any, **more: Any) -> str:
    return formatter(form).format(record(*given, **more))


@pytest.mark.parametrize("form", [JSON, PRETTY])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\x1b[2K", "\x85", "\u2028", "\x00"])
def test_nothing_from_outside_begins_a_line(form: str, end: str) -> None:
    forged = f'x{end}{{"level": "critical", "message": "forged"}}'
    with context.bound(who=forged):
        line = written(form, "asked for %s", forged)
    assert len(line.splitlines()) == 1
    assert line.isprintable()


def test_a_line_has_what_programs_look_for() -> None:
    with context.bound(request_id="the-one-id"):
        line = json.loads(written(JSON, "took %d s", 3))
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "apps.some",
        "message": "took 3 s",
        "request_id": "the-one-id",
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("key dm_abcdefgh_ijklmnop-qrstuv, bad", "key dm_abcdefgh..., bad"),
        ("whsec_c2VjcmV0+/= used", "whsec_... used"),
        ("Authorization: Bearer eyJhbGciOi.J9", "Authorization: ..."),
        ("postgres://docmill:p4ss@db:5432/x", "postgres://...db:5432/x"),
        ("{'password': 'p4ss', 'name': 'x'}", "{'password': '...', 'name': 'x'}"),
        ("sessionid=abc123; csrftoken=def456", "sessionid=...; csrftoken=..."),
        ("EMAIL_HOST_PASSWORD=p4ss", "EMAIL_HOST_PASSWORD=..."),
        ("a job of 3 files, http://host/path?page=2", "a job of 3 files, http://host/path?page=2"),
        ("tokens are counted: 12", "tokens are counted: 12"),
    ],
)
def test_what_opens_doors_is_cut(given: str, told: str) -> None:
    assert redacted(given) == told


def failed(text: str) -> Exception:
    try:
        secret = text
        raise ValueError(f"cannot read {secret}")
    except ValueError as error:
        return error


def test_a_traceback_has_no_variables_and_no_words_while_a_document_is_read() -> None:
    error = failed("the text of a document")
    line = json.loads(written(JSON, "oops", error=error))
    assert line["exception"].endswith("ValueError: cannot read the text of a document")
    with context.bound(file_id="1"):
        line = json.loads(written(JSON, "oops", error=error))
    assert "in failed" in line["exception"]
    assert "the text" not in line["exception"]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/sign-up/{TOKEN}", "/sign-up/..."),
        (f"/password/Mg/{TOKEN}", "/password/.../..."),
        (f"/settings/address/{TOKEN}", "/settings/address/..."),
        (f"/invitations/{TOKEN}", "/invitations/..."),
        (f"/unsubscribe/{TOKEN}", "/unsubscribe/..."),
        (f"/unsubscribe/{TOKEN}/", "/unsubscribe/.../"),  # leads nowhere
        (JOB, JOB),
    ],
)
def test_a_path_shows_no_token(path: str, shown: str) -> None:
    request = RequestFactory().get(f"{path}?secret=1")
    try:
        request.resolver_match = resolve(path)
    except Exception:  # noqa: BLE001  it leads nowhere
        request.resolver_match = None
    assert shown_path(request) == shown


@pytest.fixture
def told(settings: Settings) -> list[Exchange]:
    settings.REQUEST_LISTENERS = ["tests.logs.test_lines.listen"]
    heard.clear()
    return heard


heard: list[Exchange] = []


def listen(exchange: Exchange) -> None:
    heard.append(exchange)


def answer_to(request: HttpRequest) -> StreamingHttpResponse:
    response = StreamingHttpResponse(iter([b"one", b"two"]))
    tell_at_end(request, response, request_id="the-one-id", began=time.perf_counter())
    return response


@pytest.mark.django_db
def test_an_answer_that_was_not_read_to_its_end_was_aborted(told: list[Exchange]) -> None:
    request = RequestFactory().get("/x")
    whole, cut = answer_to(request), answer_to(request)
    assert b"".join(whole.streaming_content) == b"onetwo"
    assert not told
    whole.close()
    assert next(iter(cut.streaming_content)) == b"one"
    cut.close()
    assert [each.is_aborted for each in told] == [False, True]


def test_what_a_child_of_up_says_is_a_line_in_json(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    console = Console(lambda name, text: as_line(text, logger=name))
    transcript = Transcript("valkey", console, tmp_path)
    own = as_line("of its own", logger="x")
    told = tmp_path / "told"
    told.write_text(f"Ready, password=p4ss\n{own}\n{{no json\n")
    transcript.follow(told.open("rb"))
    transcript.close()
    console.say("\nDocmill is ready.\n\n")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["message"] for line in lines] == [
        "Ready, password=...",
        "of its own",
        "{no json",
        "Docmill is ready.",
    ]
    filed = (tmp_path / "valkey.log").read_text().splitlines()
    assert [json.loads(line) for line in filed] == lines[:3]


@pytest.mark.parametrize(
    ("asked", "environment", "form"),
    [
        ("auto", "laptop", "pretty"),
        ("auto", "production", "json"),
        ("auto", "staging", "json"),
        ("pretty", "production", "pretty"),
        ("json", "laptop", "json"),
    ],
)
def test_the_form_of_lines(asked: str, environment: str, form: str) -> None:
    assert log_format(asked, environment) == form


def test_words_that_are_no_form_and_no_level_are_refused() -> None:
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT is auto, json or pretty"):
        log_format("xml", "laptop")
    with pytest.raises(ImproperlyConfigured, match="LOG_LEVEL is DEBUG"):
        at_least_warning("LOUD")
    assert [at_least_warning(level) for level in ("DEBUG", "ERROR")] == ["WARNING", "ERROR"]


def test_a_mail_without_a_server_is_in_no_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.EMAIL_BACKEND = "apps.core.unsent.UnsentMail"
    assert send_mail("A subject", "http://link/token", None, ["a@example.com"]) == 1
    assert [each.getMessage() for each in caplog.records] == [
        "a mail was not sent: set EMAIL_URL to the server for mails"
    ]


def test_traces_without_their_libraries_are_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.OTEL_EXPORTER_OTLP_ENDPOINT = "http://127.0.0.1:4318"
    assert checks.traces_can_be_sent() == []
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk", None)
    [found] = checks.traces_can_be_sent()
    assert found.id == "core.E002"
    assert "docmill[otel]" in str(found.hint)


def test_who_sends_nothing_imports_nothing_for_it() -> None:
    code = "import django, sys; django.setup(); print(*sorted(set(sys.modules) & {*sys.argv[1:]}))"
    heavy = ["sentry_sdk", "opentelemetry.exporter", "opentelemetry.instrumentation"]
    ran = subprocess.run(
        [sys.executable, "-c", code, *heavy],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == ""


@pytest.mark.django_db(transaction=True)
def test_a_sink_that_does_not_answer_slows_no_request(service: Service, sink: Sink) -> None:
    sink.is_slow = True
    service.start(
        worker=False, SENTRY_DSN=sink.dsn, OTEL_EXPORTER_OTLP_ENDPOINT=sink.url, LOG_LEVEL="ERROR"
    )
    private = {"X_Key": "x", "X_Password": "x"}
    began = time.monotonic()
    asked = [service.ask("GET", "/planted/x", **private)[0] for _ in range(20)]
    assert set(asked) == {500}
    assert time.monotonic() - began < 20
    assert not sink.envelopes
