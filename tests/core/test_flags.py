"""Every part that can be switched off: what it does while it is on, and what is said while it is
off. A new ENABLE_ setting needs a row here, in the table of the code, and in docs/flags.md."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.core.flags import FLAGS
from apps.jobs.models import BatchFile, BatchJob
from apps.notifications.models import Notification
from apps.queue.lanes import due_count
from apps.queue.loop import work_once
from tests.batches import submit
from tests.conftest import ClientFor
from tests.jobs.forms import FORM_TYPE, body_of, part, post
from tests.jobs.runs import fail_next, read_next
from tests.operators import staff, superuser

pytestmark = [pytest.mark.once, pytest.mark.django_db]

ROOT = Path(__file__).resolve().parents[2]


BEGUN = {
    "Tus-Resumable": "1.0.0",
    "Upload-Length": "3",
    "Upload-Metadata": "filename bGV0dGVyLnBkZg==",
}
TOLD = r"^\| `(ENABLE_\w+)`.*\|$"


@dataclass(frozen=True)
class Around:
    """Who and what a probe has."""

    api: APIClient
    browser: Client
    acme: Organization
    tmp: Path
    said: Callable[[], str]


def refused(answer: Any, code: str) -> None:
    assert answer.status_code == 503, answer
    assert answer.json()["code"] == code
    assert int(answer.get("Retry-After", "1")) > 0


OFFERS = (
    *('href="/jobs/new"', 'value="retry"', 'data-send="POST" action="/api/batch/upload"'),
    *('id="retry"', 'id="requeue"', '/retry"', '/requeue"'),
)
"""What pages have of what is refused while batches are off."""


def offered(around: Around, *jobs: BatchJob) -> set[tuple[str, str]]:
    """What of OFFERS stands on which page."""
    files = [file for job in jobs for file in job.files.all()]
    paths = ["/", "/jobs", *(f"/jobs/{job.pk}" for job in jobs)]
    paths += [f"/files/{file.pk}" for file in files]
    paths += [reverse("batch-upload"), *(reverse("job", args=[job.pk]) for job in jobs)]
    paths += [reverse("file", args=[file.pk]) for file in files]
    shown = {path: around.browser.get(path, headers={"Accept": "text/html"}) for path in paths}
    return {(o, path) for o in OFFERS for path, page in shown.items() if o in page.content.decode()}


def reading_goes_on(around: Around, job: BatchJob) -> None:
    """And the pages say what is off."""
    done = job.files.get(state="succeeded")
    for path in (reverse("job", args=[job.pk]), reverse("file-text", args=[done.pk])):
        assert around.api.get(path).status_code == 200
    for path in ("/", "/jobs/new", "/jobs", f"/jobs/{job.pk}", f"/files/{done.pk}"):
        page = around.browser.get(path)
        assert page.status_code == 200
        assert "switched batches off" in page.content.decode()
    assert 'id="upload"' not in around.browser.get("/jobs/new").content.decode()
    sent = around.browser.generic("POST", "/jobs/new", body_of([part(b"words\n")]), FORM_TYPE)
    assert sent.status_code == 503
    answer = around.browser.post(reverse("web:job-retry", args=[job.pk]), follow=True)
    assert "switched batches off" in " ".join(map(str, answer.context["messages"]))


def batch(around: Around, turn: Callable[[bool], None]) -> None:
    def send() -> Any:
        return post(around.api, part(b"words\n"))

    turn(True)
    ended = submit(around.acme, "ended")
    fail_next()
    job = submit(around.acme, "one", "two", "three")
    read_next()
    fail_next()
    started = around.api.post(reverse("upload-list"), headers=BEGUN)
    assert started.status_code == 201, started.content
    assert {each for each, _ in offered(around, job, ended)} == set(OFFERS)

    turn(False)
    assert offered(around, job, ended) == set()
    refused(send(), "batch.off")
    tus = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
    data = {"data": b"abc", "content_type": "application/offset+octet-stream"}
    refused(around.api.post(reverse("upload-list"), headers=BEGUN), "batch.off")
    refused(around.api.patch(started["Location"], headers=tus, **data), "batch.off")
    assert around.api.head(started["Location"], headers=tus).status_code == 200
    failed = BatchFile.objects.get(job=job, state="failed")
    refused(around.api.post(reverse("file-retry", args=[failed.pk])), "batch.off")
    file = around.tmp / "a.txt"
    file.write_text("words")
    with pytest.raises(SystemExit):
        call_command("submit", str(file), organization=around.acme.pk, user="alice@example.com")
    assert "switched batches off" in around.said()
    # Nothing is begun, and nothing is lost.
    assert due_count("default", 10) == 0
    work_once(["default"])
    assert list(job.files.order_by("position").values_list("state", flat=True)) == [
        "succeeded",
        "failed",
        "queued",
    ]
    reading_goes_on(around, job)

    turn(True)
    assert due_count("default", 10) == 1
    assert send().status_code == 202
    assert around.api.patch(started["Location"], headers=tus, **data).status_code == 204
    assert read_next()
    assert job.files.filter(state="queued").count() == 0
    assert "switched batches off" not in around.browser.get("/jobs/new").content.decode()


def caching(around: Around, turn: Callable[[bool], None]) -> None:
    turn(True)
    told = [around.browser.get("/api/schema")["X-Cache"] for _ in range(2)]
    assert told == ["MISS", "HIT"]
    turn(False)
    assert around.browser.get("/api/schema")["X-Cache"] == "BYPASS"


def metrics(around: Around, turn: Callable[[bool], None]) -> None:
    admin = superuser()
    turn(False)
    refused(admin.get("/metrics"), "metrics.off")
    turn(True)
    told = admin.get("/metrics")
    assert "docmill_build_info" in told.content.decode()


def notifications(around: Around, turn: Callable[[bool], None]) -> None:
    turn(False)
    refused(around.api.get(reverse("notifications")), "notifications.disabled")
    assert around.browser.get("/notifications").status_code == 503
    assert 'id="badge"' not in around.browser.get("/").content.decode()
    submit(around.acme, "one")
    read_next()
    assert Notification.objects.count() == 0
    turn(True)
    assert around.api.get(reverse("notifications")).status_code == 200
    submit(around.acme, "two")
    read_next()
    assert Notification.objects.count() > 0


def rate_limiting(around: Around, turn: Callable[[bool], None]) -> None:
    turn(False)
    answer = around.api.get(reverse("job-list"))
    assert "RateLimit" not in answer
    assert around.api.get(reverse("rate-limits")).json()["enabled"] is False
    turn(True)
    assert "RateLimit" in around.api.get(reverse("job-list"))


def signup(around: Around, turn: Callable[[bool], None]) -> None:
    turn(False)
    assert Client().get("/sign-up").status_code == 404
    assert "/sign-up" not in Client().get("/sign-in").content.decode()
    turn(True)
    assert Client().get("/sign-up").status_code == 200
    assert "/sign-up" in Client().get("/sign-in").content.decode()


def webhooks(around: Around, turn: Callable[[bool], None]) -> None:
    turn(False)
    refused(around.api.get(reverse("webhooks")), "webhook.off")
    page = around.browser.get("/settings/webhooks")
    assert page.status_code == 503
    assert "Try again in" not in page.content.decode()  # an operator decides when it is on
    assert "/settings/webhooks" not in around.browser.get("/settings/profile").content.decode()
    turn(True)
    assert around.api.get(reverse("webhooks")).status_code == 200
    assert around.browser.get("/settings/webhooks").status_code == 200


PROBES = {
    "ENABLE_BATCH": batch,
    "ENABLE_CACHING": caching,
    "ENABLE_METRICS": metrics,
    "ENABLE_NOTIFICATIONS": notifications,
    "ENABLE_RATE_LIMITING": rate_limiting,
    "ENABLE_SIGNUP": signup,
    "ENABLE_WEBHOOKS": webhooks,
}


def test_every_flag_has_a_row_everywhere() -> None:
    read = re.findall(r'env\.bool\("(ENABLE_\w+)"', (ROOT / "config/settings.py").read_text())
    told = re.findall(TOLD, (ROOT / "docs/flags.md").read_text(), re.MULTILINE)
    assert set(read) == set(PROBES) == {flag.name for flag in FLAGS} == set(told)
    page = (ROOT / "docs/errors.md").read_text()
    for flag in FLAGS:
        assert not flag.code or f"| `{flag.code}` |" in page


# In a transaction that has written, nothing is kept.
COMMITTED = pytest.mark.django_db(transaction=True)
CASES = [pytest.param(name, marks=COMMITTED if name == "ENABLE_CACHING" else ()) for name in PROBES]


@pytest.mark.parametrize("name", CASES)
def test_each_part_is_on_and_off(
    name: str,
    alice_api: APIClient,
    alice: User,
    acme: Organization,
    client_for: ClientFor,
    tmp_path: Path,
    settings: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = lambda: capsys.readouterr().err  # noqa: E731
    around = Around(alice_api, client_for(alice), acme, tmp_path, said)
    PROBES[name](around, lambda is_on: setattr(settings, name, is_on))


def test_the_admin_shows_them_and_changes_none(settings: Any) -> None:
    settings.ENABLE_BATCH = False
    page = reverse("admin:health_flagnow_changelist")
    html = superuser().get(page).content.decode()
    for flag in FLAGS:
        assert flag.name in html
    row = html.partition("ENABLE_BATCH")[2].partition("</tr>")[0]
    assert "<strong>off</strong>" in row
    assert "batch.off" in row
    assert staff("view_flagnow").get(page).status_code == 200
    User.objects.get(email="staff@example.com").user_permissions.clear()
    assert Client().get(page).status_code == 302
