"""Downloads that are built in the background: once for all who ask, whole or not at all, in parts,
and gone in time."""

import hashlib
import json
import zipfile
from io import BytesIO
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from apps.accounts.models import Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.audit.models import AuditEntry
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchJob, Export
from apps.jobs.services.exporting import request_export
from apps.queue.claim import claim
from apps.queue.handlers import Control
from apps.queue.models import WorkItem
from tests.batches import SOMEBODY, owner_of, together
from tests.conftest import ApiFor
from tests.jobs.ageing import read
from tests.jobs.exporting import EXPORTS, ask, asked, build_next, built, ended_job
from tests.jobs.forms import accepted, body, part, refusal
from tests.jobs.runs import read_next

pytestmark = pytest.mark.django_db


@pytest.fixture
def job(alice_api: APIClient) -> dict[str, Any]:
    return ended_job(alice_api)


# --- built --------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", FORMATS)
def test_it_is_what_the_direct_download_is(
    alice_api: APIClient, job: dict[str, Any], made: str
) -> None:
    direct = body(alice_api.get(f"{job['url']}/results.{made}"))
    export = asked(alice_api, job["id"], made=made)
    assert (export["state"], export["progress"], export["content_url"]) == ("queued", 0.0, None)
    build_next()
    ready = alice_api.get(export["url"]).json()
    assert (ready["state"], ready["progress"], ready["complete"]) == ("ready", 1.0, True)
    assert ready["jobs"] == [job["id"]]
    answer = alice_api.get(ready["content_url"])
    data = body(answer)
    assert data == direct
    assert (ready["size_bytes"], ready["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert answer["ETag"] == f'"{ready["sha256"]}"'
    assert answer["Content-Type"] == FORMATS[made].media_type
    assert answer["Content-Disposition"].startswith("attachment; filename")
    assert answer["X-Content-Type-Options"] == "nosniff"
    # From then on the direct one is served from it.
    direct_again = alice_api.get(f"{job['url']}/results.{made}")
    assert (body(direct_again), direct_again["ETag"]) == (data, answer["ETag"])


def test_it_says_how_far_it_is_and_belongs_to_who_asked(
    alice_api: APIClient, job: dict[str, Any], alice: User, acme: Organization
) -> None:
    said: list[tuple[str, float]] = []
    asked(alice_api, job["id"])
    item = build_next(Control(lambda stage, done: said.append((stage, done)), lambda: False))
    assert said == [("1 of 2", 0.5), ("2 of 2", 1.0)]
    assert (item.organization, item.requested_by, item.lane) == (acme, alice, "export")
    [told] = AuditEntry.objects.filter(action="jobs.export")
    assert told.organization_id == acme.pk
    assert json.loads(told.detail)["state"] == "succeeded"


def test_who_asked_is_told_once_until_it_is_gone(
    alice_api: APIClient, bob_api: APIClient, job: dict[str, Any]
) -> None:
    def told(api: APIClient) -> list[str]:
        found = api.get("/api/notifications?kind=export_ready").json()["results"]
        return [each["title"] for each in found]

    export = built(alice_api, job["id"])
    assert told(alice_api) == [f"{export['name']}: ready"]
    assert told(bob_api) == []
    assert ask(alice_api, job["id"]).status_code == 200
    assert len(told(alice_api)) == 1
    assert alice_api.delete(export["url"]).status_code == 204
    assert told(alice_api) == []


def test_whoever_asked_while_it_was_built_is_told_too(
    alice_api: APIClient, job: dict[str, Any], acme: Organization, api_for: ApiFor
) -> None:
    def told(api: APIClient) -> list[str]:
        found = api.get("/api/notifications?kind=export_ready").json()["results"]
        return [each["title"] for each in found]

    carol = create_user(email="carol@example.com", password=None)
    add_member(organization=acme, user=carol, role=Role.CONTRIBUTOR)
    carol_api = api_for(carol)
    export = asked(alice_api, job["id"])
    for api in (carol_api, alice_api, carol_api):
        assert asked(api, job["id"])["id"] == export["id"]
    build_next()
    assert told(alice_api) == told(carol_api) == [f"{export['name']}: ready"]
    assert ask(carol_api, job["id"]).status_code == 200
    # It stays hers.
    refusal(carol_api.delete(export["url"]), 403, "auth.forbidden")


def test_of_a_job_that_runs_it_is_partial_and_says_so(alice_api: APIClient) -> None:
    job = accepted(alice_api, part(), part())
    read_next()
    export = built(alice_api, job["id"])
    assert export["complete"] is False
    assert export["name"].endswith(" (partial).zip")
    answer = alice_api.get(export["content_url"])
    assert answer["X-Results-Complete"] == "false"
    manifest = json.loads(zipfile.ZipFile(BytesIO(body(answer))).read("manifest.json"))
    assert manifest["complete"] is False
    read_next()
    assert built(alice_api, job["id"])["complete"] is True


def test_of_several_jobs_each_has_a_folder(alice_api: APIClient, job: dict[str, Any]) -> None:
    other = accepted(alice_api, part(name="../one.txt"[3:]))
    read_next("third text")
    export = built(alice_api, other["id"], job["id"])
    archive = zipfile.ZipFile(BytesIO(body(alice_api.get(export["content_url"]))))
    assert archive.testzip() is None
    manifest = json.loads(archive.read("manifest.json"))
    assert [each["job"] for each in manifest["jobs"]] == [job["id"], other["id"]]
    texts = [
        archive.read(line["text"]).decode() for each in manifest["jobs"] for line in each["files"]
    ]
    assert texts == ["first text", "second text", "third text"]
    assert {name.partition("/")[0][:3] for name in archive.namelist() if "/" in name} == {
        "01-",
        "02-",
    }


# --- asked for twice ----------------------------------------------------------------------------


def test_asked_for_again_it_is_the_same(alice_api: APIClient, job: dict[str, Any]) -> None:
    first = asked(alice_api, job["id"])
    assert asked(alice_api, job["id"], job["id"])["id"] == first["id"]
    assert asked(alice_api, job["id"], made="csv")["id"] != first["id"]
    build_next()
    again = ask(alice_api, job["id"])
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    assert again["Location"] == again.json()["url"]
    assert Export.objects.count() == WorkItem.objects.count() == 2


def test_the_order_of_its_jobs_makes_no_other(alice_api: APIClient, job: dict[str, Any]) -> None:
    other = accepted(alice_api, part())
    read_next()
    first = asked(alice_api, other["id"], job["id"])  # the newest first, as lists have them
    assert asked(alice_api, job["id"], other["id"])["id"] == first["id"]
    build_next()
    for jobs in ((other["id"], job["id"]), (job["id"], other["id"])):
        again = ask(alice_api, *jobs)
        assert (again.status_code, again.json()["id"]) == (200, first["id"])
        assert again.json()["name"] == first["name"]


def test_one_that_is_deleted_while_it_is_built_is_built_anew(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    first = asked(alice_api, job["id"])
    found = claim("export", SOMEBODY)  # whoever builds it has not heard of its end yet
    assert found is not None
    assert alice_api.delete(first["url"]).status_code == 204
    second = asked(alice_api, job["id"])
    assert second["id"] != first["id"]
    assert build_next().pk != found[1].pk
    assert alice_api.get(second["url"]).json()["state"] == "ready"


def test_what_has_changed_since_is_built_anew(alice_api: APIClient, job: dict[str, Any]) -> None:
    first = built(alice_api, job["id"])
    alice_api.patch(job["url"], {"kept": True}, format="json")
    second = asked(alice_api, job["id"])
    assert second["id"] != first["id"]


@pytest.mark.django_db(transaction=True)
def test_fifty_at_the_same_moment_make_one(acme: Organization) -> None:
    job = read(acme, "one")
    actor, made = owner_of(acme), FORMATS["zip"]
    jobs = [BatchJob.objects.get(pk=job.pk)]
    found = together([lambda: request_export(actor=actor, jobs=jobs, made=made)] * 50)
    assert len({export.pk for export in found}) == 1
    assert Export.objects.count() == WorkItem.objects.count() == 1
    assert list(Export.objects.get().jobs.all()) == jobs


def test_its_turn_comes_among_those_of_others(acme: Organization, other: Organization) -> None:
    mine, theirs = [read(acme, str(n)) for n in range(3)], read(other, "x")
    for job in mine:
        request_export(actor=owner_of(acme), jobs=[job], made=FORMATS["zip"])
    request_export(actor=owner_of(other), jobs=[theirs], made=FORMATS["zip"])
    order = [build_next().organization for _ in range(4)]
    assert order.index(other) <= 1


# --- who may ------------------------------------------------------------------------------------


def test_outside_the_organization_there_is_none(
    alice_api: APIClient, charlie_api: APIClient, job: dict[str, Any]
) -> None:
    refusal(ask(charlie_api, job["id"]), 404, "request.not_found")
    export = built(alice_api, job["id"])
    assert charlie_api.get(EXPORTS).json()["results"] == []
    for url in (export["url"], export["content_url"]):
        refusal(charlie_api.get(url), 404, "request.not_found")
    refusal(charlie_api.delete(export["url"]), 404, "request.not_found")
    assert Export.objects.count() == 1


def test_a_reader_fetches_and_asks_for_none(
    alice_api: APIClient, bob_api: APIClient, bob: User, acme: Organization, job: dict[str, Any]
) -> None:
    Membership.objects.filter(user=bob, organization=acme).update(role="reader")
    export = built(alice_api, job["id"])
    refusal(ask(bob_api, job["id"]), 403, "auth.forbidden")
    refusal(bob_api.delete(export["url"]), 403, "auth.forbidden")
    assert body(bob_api.get(export["content_url"]))
    assert [each["id"] for each in bob_api.get(EXPORTS).json()["results"]] == [export["id"]]


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({"format": "pdf", "jobs": ["JOB"]}, "format"),
        ({"jobs": ["JOB"]}, "format"),
        ({"format": "zip"}, "jobs"),
        ({"format": "zip", "jobs": []}, "jobs"),
        ({"format": "zip", "jobs": "JOB"}, "jobs"),
        ({"format": "zip", "jobs": ["JOB"] * 51}, "jobs"),
        ({"format": "zip", "jobs": ["x"]}, "jobs"),
        ({"format": "zip", "jobs": ["JOB"], "name": "x"}, "name"),
    ],
)
def test_what_makes_no_sense_is_refused(
    alice_api: APIClient, job: dict[str, Any], sent: dict[str, Any], field: str
) -> None:
    raw = json.loads(json.dumps(sent).replace("JOB", job["id"]))
    problem = refusal(alice_api.post(EXPORTS, raw, format="json"), 400, "request.invalid")
    assert [each["field"] for each in problem["errors"]] == [field]
    assert not Export.objects.exists()


def test_a_list_of_many_takes_as_many_queries_as_one(
    alice_api: APIClient, job: dict[str, Any]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as seen:
            assert alice_api.get(EXPORTS).status_code == 200
        return len(seen)

    built(alice_api, job["id"])
    queries()
    one = queries()
    for made in ("csv", "md", "xlsx"):
        built(alice_api, job["id"], made=made)
    assert queries() == one
