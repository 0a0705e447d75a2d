"""One request is found everywhere: in the access log, the worker's lines, the error, the trace.

With the real web server, worker and beat, and a sink for what they send. Nothing of what was
planted is in any of it.
"""

import re
import socket

import pytest
from django.test import override_settings

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.jobs.models import BatchFile
from tests.logs.service import Service
from tests.logs.sink import Sink
from tests.processes import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(300), pytest.mark.once]

SECRETS = {
    "password": "Open-Sesame-77421",
    "key in an error": "dm_plantedkeyplantedkeyplantedkey",
    "token of a link": "planted-token-of-a-mailed-link:1a2b:zzz",
    "query": "planted-query-value",
    "document": "Planted-Document-Sentence",
    "file name": "planted-file-name",
    "webhook secret": "whsec_cGxhbnRlZCBzZWNyZXQ",
    "user agent": "planted-user-agent",
}
FINE, CRASH, BUG, VIEW = "the-fine-request", "the-crash-request", "the-buggy-one", "the-view-one"


def test_one_id_from_the_request_to_the_error_and_nothing_private(
    service: Service, sink: Sink, acme: Organization, alice: User
) -> None:
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.Argon2PasswordHasher"]):
        alice.set_password(SECRETS["password"])  # so that the service knows it
        alice.save()
    _, token = create_api_key(organization=acme, user=alice, name="tests")
    service.start(SENTRY_DSN=sink.dsn, OTEL_EXPORTER_OTLP_ENDPOINT=sink.url)
    secrets = {**SECRETS, "api key": token, "e-mail": "alice@example.com"}

    jobs = _submit_all(service, token)
    secrets["session"] = _sign_in(service)
    _ask_for_what_fails(service, secrets)
    _open_a_stream(service, token, jobs[FINE])
    _wait_for_ends(jobs)
    eventually(lambda: "a mail was not sent" in service.written())
    service.stop()

    lines = service.lines()
    _the_log_has_each_id(lines, jobs)
    _the_errors_arrived_once(sink, jobs, acme)
    _the_trace_is_one(sink)
    _nothing_private_in(service.written().encode(), secrets)
    assert sink.raw
    _nothing_private_in(b"\n".join(sink.raw), secrets)


def _submit_all(service: Service, token: str) -> dict[str, str]:
    """The job that each request made, by the request's id."""
    text, name = SECRETS["document"], SECRETS["file name"]
    given = {
        FINE: (f"{name}.txt", f"fine {text}"),
        CRASH: (f"{name}.txt", f"crash {text}"),
        BUG: (f"{name}.csv", f"bug,{text}"),
    }
    agent = SECRETS["user agent"]
    jobs = {}
    for request_id, (called, content) in given.items():
        job = service.submit(
            called,
            content.encode(),
            Authorization=f"Bearer {token}",
            X_Request_ID=request_id,
            User_Agent=agent,
        )
        assert job["request_id"] == request_id
        jobs[request_id] = job["id"]
    return jobs


def _sign_in(service: Service) -> str:
    """Alice's session, once as she signed in, after a password that was wrong."""
    _, headers, page = service.ask("GET", "/sign-in")
    [form_token] = re.findall(rb'name="csrfmiddlewaretoken" value="(\w+)"', page)
    cookie = headers["set-cookie"].partition(";")[0]
    form = f"csrfmiddlewaretoken={form_token.decode()}&username=alice@example.com&password="
    kind = {"Content_Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    assert service.ask("POST", "/sign-in", f"{form}wrong".encode(), **kind)[0] == 200
    sent = f"{form}{SECRETS['password']}".encode()
    status, headers, _ = service.ask("POST", "/sign-in", sent, **kind)
    assert status == 302
    [session] = re.findall(r"sessionid=(\w+)", headers["set-cookie"])
    reset = f"csrfmiddlewaretoken={form_token.decode()}&email=alice@example.com".encode()
    assert service.ask("POST", "/password", reset, **kind)[0] in (200, 302)
    return str(session)


def _ask_for_what_fails(service: Service, secrets: dict[str, str]) -> None:
    token, query = secrets["token of a link"], secrets["query"]
    status, headers, _ = service.ask(
        "GET",
        f"/planted/{token}?secret={query}",
        X_Request_ID=VIEW,
        X_Key=secrets["key in an error"],
        X_Password=secrets["password"],
        Cookie=f"sessionid={secrets['session']}",
        User_Agent=secrets["user agent"],
    )
    assert (status, headers["x-request-id"]) == (500, VIEW)
    assert service.ask("GET", f"/sign-up/{token}?next={query}")[0] in (200, 404, 410)
    assert service.ask("GET", f"/sign-up/{token}/more%0A%7B%22level%22:1%7D%0D%E2%80%A8")[0] == 404
    bad_host = service.ask("GET", "/", Host="evil\x0b.example")
    assert bad_host[0] == 400
    webhook = f'{{"secret": "{secrets["webhook secret"]}"}}'.encode()
    assert service.ask("POST", "/api/webhooks", webhook, Authorization="Bearer no")[0] == 401


def _open_a_stream(service: Service, token: str, job: str) -> None:
    """And go away in the middle of it."""
    with socket.create_connection(("127.0.0.1", service.web.port), timeout=60) as reader:
        reader.sendall(
            f"GET /api/batch/jobs/events HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {token}\r\nX-Request-ID: the-stream-one\r\n\r\n".encode()
        )
        assert b"200 OK" in reader.recv(65536)
    eventually(lambda: "stream aborted" in service.web.output)


def _wait_for_ends(jobs: dict[str, str]) -> None:
    def ended() -> bool:
        states = dict(BatchFile.objects.values_list("request_id", "state"))
        return states == {FINE: "succeeded", CRASH: "retry_wait", BUG: "retry_wait"}

    eventually(ended, seconds=120)


def _the_log_has_each_id(lines: list[dict[str, object]], jobs: dict[str, str]) -> None:
    requests = [each for each in lines if each["message"] == "request"]
    for request_id, job in jobs.items():
        mine = [each for each in lines if each.get("request_id") == request_id]
        [access] = [each for each in mine if each in requests]
        assert access["method"] == "POST"
        where = (access["path"], access["route"], access["status"])
        assert where == ("/api/batch/upload", "api/batch/upload", 202)
        assert access.keys() >= {"duration_ms", "client", "user", "organization", "key"}
        [run] = [each for each in mine if each["message"] == "run ended"]
        assert (run["job_id"], run["attempt"], run["operation"]) == (job, 1, "extract")
        assert run.keys() >= {"file_id", "outcome", "wait_seconds", "run_seconds", "worker"}
    ends = {each["request_id"]: each for each in lines if each["message"] == "run ended"}
    assert (ends[FINE]["outcome"], ends[FINE]["pages"]) == ("succeeded", 1)
    assert (ends[CRASH]["outcome"], ends[CRASH]["code"]) == ("retry", "queue.error")
    assert (ends[BUG]["level"], ends[BUG]["failure_class"]) == ("error", "transient")
    mailed = [each for each in lines if each.get("kind") == "mail.reset"]
    assert {each["request_id"] for each in mailed} <= {each["request_id"] for each in requests}
    assert mailed
    streams = [each["message"] for each in lines if each.get("request_id") == "the-stream-one"]
    assert streams == ["stream started", "stream aborted"]
    assert not [each for each in lines if str(each.get("path")).startswith("/health")]
    assert not [each for each in lines if str(each["logger"]).startswith("celery.worker.strategy")]


def _the_errors_arrived_once(sink: Sink, jobs: dict[str, str], acme: Organization) -> None:
    events = sink.events()
    told = {each["tags"]["request_id"]: each for each in events}
    assert sorted(told) == sorted({VIEW, CRASH, BUG})
    assert len(events) == 3
    for event in events:
        assert event["release"].startswith("docmill@")
        assert event["environment"] == "production"
        assert not {"user", "breadcrumbs", "extra"} & event.keys()
    assert told[CRASH]["tags"]["job_id"] == jobs[CRASH]
    assert told[CRASH]["tags"]["organization"] == str(acme.pk)
    assert told[CRASH]["exception"]["values"][-1]["type"] == "RuntimeError"
    assert told[VIEW]["exception"]["values"][-1]["type"] == "RuntimeError"
    assert told[VIEW]["transaction"] == "/planted/{token}"
    assert told[BUG]["logentry"]["message"] == "run ended: processor.error"


def _the_trace_is_one(sink: Sink) -> None:
    """From the request through the row to the child that read it."""
    spans = sink.spans()
    assert {"run", "read"} <= {each.name for each in spans}
    [run] = [
        each
        for each in spans
        if each.name == "run" and _of(each, "docmill.outcome") == "succeeded" and _is_file(each)
    ]
    [request] = [each for each in spans if each.span_id == run.parent_span_id]
    assert _of(request, "docmill.request_id") == FINE
    [read] = [each for each in spans if each.parent_span_id == run.span_id and each.name == "read"]
    assert {request.trace_id, read.trace_id} == {run.trace_id}


def _is_file(span: object) -> bool:
    return bool(_of(span, "docmill.file_id"))


def _of(span: object, name: str) -> str:
    return next(
        (each.value.string_value for each in span.attributes if each.key == name),  # type: ignore[attr-defined]
        "",
    )


def _nothing_private_in(text: bytes, secrets: dict[str, str]) -> None:
    found = {what for what, secret in secrets.items() if secret.encode() in text}
    assert not found
