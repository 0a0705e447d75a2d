"""What is kept: texts, extractions, counters, statistics, the schema. Read in full, never too old,
told by X-Cache; and never another organization's."""

import importlib
import inspect
import re
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.test import Client, RequestFactory
from django.utils import timezone
from drf_spectacular.views import SpectacularAPIView
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.caching import statistics
from apps.caching.decorators import FUNCTIONS, Cached
from apps.caching.invalidation import invalidate
from apps.caching.keys import tenant_tag
from apps.caching.stores import store
from apps.core import breaker
from apps.core.breaker import ANSWER_SECONDS
from apps.jobs import results, storage
from apps.jobs.counters import jobs_by_state, jobs_changed
from apps.jobs.models import BatchFile, BatchJob, FileResult
from apps.jobs.services import cancel_job, delete_job, retry_job
from apps.jobs.services.closing import set_right
from apps.queue.models import Throughput
from apps.queue.throughput import ended_since, roll_up
from tests.batches import owner_of, submit
from tests.conftest import ClientFor
from tests.jobs.forms import accepted, body, files_of, part
from tests.jobs.runs import fail_next, read_next
from tests.ratelimits.test_away import freeze, kill, timed
from tests.servers import Valkey

pytestmark = pytest.mark.django_db(transaction=True)

PUBLIC = {"apps.queue.throughput.ended_since", "apps.web.api.document"}
"""Kept for nobody in particular: what operators alone see, and what everybody may."""
importlib.import_module("config.urls")  # with all that there is
OURS = {name: kept for name, kept in FUNCTIONS.items() if name.startswith("apps.")}


@pytest.fixture
def text_url(alice_api: APIClient) -> str:
    job = accepted(alice_api, part())
    read_next("Grüße aus Acme\n" * 1000)
    return str(files_of(alice_api, job)[0]["text_url"])


def result_url(text_url: str) -> str:
    return text_url.removesuffix("text") + "result"


@pytest.mark.parametrize("of", [str, result_url])
def test_a_text_is_read_once_and_comes_whole(of: Any, text_url: str, alice_api: APIClient) -> None:
    first, second = alice_api.get(of(text_url)), alice_api.get(of(text_url))
    assert [first["X-Cache"], second["X-Cache"]] == ["MISS", "HIT"]
    assert body(first) == body(second)
    assert "Grüße aus Acme" in body(second).decode()
    assert first["ETag"] == second["ETag"]
    assert first["Content-Type"] == second["Content-Type"]
    assert second["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert second["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("of", [str, result_url])
def test_who_has_it_already_gets_304(of: Any, text_url: str, alice_api: APIClient) -> None:
    known = alice_api.get(of(text_url))["ETag"]
    again = alice_api.get(of(text_url), headers={"If-None-Match": known})
    assert (again.status_code, body(again), again["X-Cache"]) == (304, b"", "HIT")
    assert again["ETag"] == known
    other = alice_api.get(of(text_url), headers={"If-None-Match": '"other"'})
    assert other.status_code == 200
    head = alice_api.head(of(text_url))
    assert (head.status_code, head["ETag"]) == (200, known)


@pytest.mark.parametrize("of", [str, result_url])
def test_what_a_browser_has_stays_locked_up(of: Any, text_url: str, alice_api: APIClient) -> None:
    """It takes the headers of a 304 for those that came with the body."""
    whole = alice_api.get(of(text_url))
    again = alice_api.get(of(text_url), headers={"If-None-Match": whole["ETag"]})
    assert again.status_code == 304
    for name in ("Content-Security-Policy", "X-Content-Type-Options", "Cache-Control", "Vary"):
        assert again[name] == whole[name]


@pytest.mark.parametrize(
    "asked", [{"If-Match": '"other"'}, {"If-Unmodified-Since": "Wed, 21 Oct 2015 07:28:00 GMT"}]
)
def test_what_was_asked_for_in_another_state_is_refused(
    asked: dict[str, str], text_url: str, alice_api: APIClient
) -> None:
    for url in (text_url, result_url(text_url), "/api/schema"):
        refused = alice_api.get(url, headers=asked)
        assert (refused.status_code, refused["Content-Type"]) == (412, "application/problem+json")
        assert refused.json()["code"] == "request.changed"
    known = alice_api.get(text_url)["ETag"]
    assert alice_api.get(text_url, headers={"If-Match": known}).status_code == 200


@pytest.mark.parametrize("of", [str, result_url])
def test_what_is_very_large_is_streamed(
    of: Any, text_url: str, alice_api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = alice_api.get(of(text_url))
    monkeypatch.setattr(results, "KEPT_WHOLE_BYTES", 10)
    answer = alice_api.get(of(text_url))
    assert (answer.streaming, answer["X-Cache"], "ETag" in answer) == (True, "BYPASS", False)
    assert (body(answer), answer["Content-Type"]) == (body(whole), whole["Content-Type"])
    assert "Content-Security-Policy" in answer
    storage.path_of(FileResult.objects.get().content).unlink()
    assert alice_api.get(of(text_url)).status_code == 404


def test_a_file_that_is_read_anew_has_its_new_text(alice_api: APIClient) -> None:
    job = accepted(alice_api, part())
    read_next("old")
    url = files_of(alice_api, job)[0]["text_url"]
    old = alice_api.get(url)
    alice_api.post(f"{job['url']}/requeue")
    read_next("new")
    new = alice_api.get(url, headers={"If-None-Match": old["ETag"]})
    assert (new.status_code, body(new)) == (200, b"new")


def test_what_is_deleted_is_gone_from_the_cache_too(
    acme: Organization, alice: User, valkey: Valkey
) -> None:
    job = submit(acme, "one")
    file = read_next("secret")
    result = FileResult.objects.select_related("content").get(file=file)
    kept = results.text(result)
    assert kept
    assert kept.value == "secret"
    of = results._text.call(result.content.organization_id, result.content.sha256)
    assert store().read([of.key])
    delete_job(actor=owner_of(acme), job=job)
    assert not store().read([of.key])
    with pytest.raises(FileNotFoundError):
        results.text(result)


def test_a_released_text_that_was_being_read_is_not_kept(acme: Organization) -> None:
    """It is put in the store after its bytes went; nobody finds it there."""
    submit(acme, "one")
    result = FileResult.objects.select_related("content").get(file=read_next("secret"))
    call = results._text.call(result.content.organization_id, result.content.sha256)
    results.text(result)
    late = store().read([call.key])[call.key]
    results.forget([result.content])
    store().write(call.key, late, 60)
    storage.path_of(result.content).unlink()
    with pytest.raises(FileNotFoundError):
        results.text(result)


def test_counters_are_right_after_every_step(acme: Organization, alice: User) -> None:
    """Also where they were read just before, so that they are kept."""

    def now() -> dict[str, int]:
        jobs_by_state(acme.pk)
        assert jobs_by_state.outcome(acme.pk).status == "HIT"
        return jobs_by_state(acme.pk)

    actor = owner_of(acme)
    assert now() == {}
    first = submit(acme, "one", "two")
    assert now() == {"open": 1}
    read_next()
    assert now() == {"open": 1}
    fail_next()
    assert now() == {"partial": 1}
    retry_job(actor=actor, job=first)
    assert now() == {"open": 1}
    cancel_job(actor=actor, job=first)
    first.refresh_from_db()
    assert now() == {str(first.state): 1}
    second = submit(acme, "three")
    read_next()
    assert now() == {str(first.state): 1, "succeeded": 1}
    BatchJob.objects.filter(pk=second.pk).update(state="failed")
    jobs_changed(acme.pk)
    assert now() == {str(first.state): 1, "failed": 1}
    set_right(second.pk)
    assert now() == {str(first.state): 1, "succeeded": 1}
    BatchFile.objects.filter(job=second).update(state="queued")
    set_right(second.pk)
    assert now() == {str(first.state): 1, "open": 1}
    delete_job(actor=actor, job=first)
    assert now() == {"open": 1}


def test_the_list_of_jobs_counts_them(
    acme: Organization, alice: User, client_for: ClientFor
) -> None:
    submit(acme, "one")
    read_next()
    submit(acme, "two")
    browser = client_for(alice)

    def chips(query: str = "") -> list[tuple[str, bool, int | None]]:
        chips = browser.get(f"/jobs?{query}").context["chips"]
        return [(name, is_chosen, count) for name, _, _, is_chosen, count in chips]

    assert chips() == [
        ("all", True, 2),
        ("running", False, 1),
        ("failed", False, 0),
        ("succeeded", False, 1),
        ("cancelled", False, 0),
    ]
    fail_next()
    assert [count for _, _, count in chips("state=failed")] == [2, 0, 1, 1, 0]
    assert {count for _, _, count in chips("q=one")} == {None}
    assert {count for _, _, count in chips("operation=extract")} == {None}


def test_an_open_list_hears_of_a_count_that_changed(
    acme: Organization, alice: User, client_for: ClientFor
) -> None:
    browser = client_for(alice)
    submit(acme, "one")
    page = browser.get("/jobs?state=succeeded")
    asks = {"HX-Request": "true", "HX-Target": "list"}
    seen = f"/jobs?state=succeeded&seen={page.context['page'].fingerprint}"
    assert browser.get(seen, headers=asks).status_code == 204
    fail_next()
    assert browser.get(seen, headers=asks).status_code == 200


def test_statistics_are_counted_anew_when_there_are_new_ones(acme: Organization) -> None:
    size, since = Throughput.Size.HOUR.value, timezone.now() - timedelta(days=1)
    submit(acme, "one", "two")
    read_next()
    roll_up()
    assert [row[1:3] for row in ended_since(size, since)] == [["succeeded", 1]]
    assert ended_since.outcome(size, since).status == "HIT"
    read_next()
    roll_up()
    assert [row[1:3] for row in ended_since(size, since)] == [["succeeded", 2]]


def test_the_schema_is_drawn_once_for_each_way_of_writing_it() -> None:
    browser = Client()
    first, second = browser.get("/api/schema"), browser.get("/api/schema")
    assert [first["X-Cache"], second["X-Cache"]] == ["MISS", "HIT"]
    assert first.content == second.content
    assert second["Content-Type"] == "application/vnd.oai.openapi; charset=utf-8"
    assert second["Content-Disposition"] == 'inline; filename="Docmill.yaml"'
    as_json = browser.get("/api/schema?format=json")
    assert (as_json["X-Cache"], as_json.json()["info"]["title"]) == ("MISS", "Docmill")
    known = browser.get("/api/schema", headers={"If-None-Match": second["ETag"]})
    assert (known.status_code, known["X-Cache"]) == (304, "HIT")
    for given in ("lang=de", "version=%00"):  # as headers take it, or not
        assert browser.get(f"/api/schema?{given}").status_code == 400


def test_the_schema_that_is_kept_is_the_one_that_would_be_drawn() -> None:
    kept = Client().get("/api/schema")
    drawn = SpectacularAPIView.as_view()(RequestFactory().get("/api/schema")).render()
    assert kept.content == drawn.content
    for header in ("Content-Type", "Content-Disposition"):
        assert kept[header] == drawn[header]


def test_off_answers_the_same(text_url: str, alice_api: APIClient, settings: Any) -> None:
    on = alice_api.get(text_url)
    settings.ENABLE_CACHING = False
    off = alice_api.get(text_url)
    assert (off["X-Cache"], off["ETag"], body(off)) == ("BYPASS", on["ETag"], body(on))
    known = alice_api.get(text_url, headers={"If-None-Match": on["ETag"]})
    assert known.status_code == 304


@pytest.fixture
def _impatient(_fresh_cache: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "ANSWER_SECONDS", ANSWER_SECONDS)


@pytest.mark.usefixtures("_impatient")
@pytest.mark.parametrize("fault", [kill, freeze])
def test_answers_are_the_same_while_redis_is_away(
    text_url: str,
    alice_api: APIClient,
    valkey: Valkey,
    fault: Any,
) -> None:
    urls = [text_url, result_url(text_url), "/api/schema"]
    before = {url: body(alice_api.get(url)) for url in urls}
    fault(valkey)
    for url in urls * 2:
        answer, seconds = timed(lambda url=url: alice_api.get(url))
        assert (answer.status_code, body(answer)) == (200, before[url])
        assert answer["X-Cache"] in ("HIT", "MISS")
        assert seconds < 3


def test_what_is_in_redis_is_hashes_that_end(
    text_url: str, alice_api: APIClient, alice: User, client_for: ClientFor, valkey: Valkey
) -> None:
    for url in (text_url, result_url(text_url)):
        alice_api.get(url)
    client_for(alice).get("/jobs")
    Client().get("/api/schema")
    statistics.flusher.flush()
    known = r"docmill:cache:(v:[a-z]+:[0-9a-f]{32}|t:[a-z-]+:[0-9a-f]{32}|l:[0-9a-f]{32}|n:\d+)"
    with redis.Redis.from_url(valkey.url) as client:
        names = [name.decode() for name in client.scan_iter(match="docmill:cache:*")]
        assert len([name for name in names if ":v:" in name]) == 4
        for name in names:
            assert re.fullmatch(known, name), name
            assert client.ttl(name) > 0


# --- whose it is


def test_every_function_names_its_tenant_or_is_for_nobody_in_particular() -> None:
    assert len(OURS) >= 5
    assert {name for name, kept in OURS.items() if kept.tenant is None} == PUBLIC


@pytest.mark.parametrize("name", sorted(OURS.keys() - PUBLIC))
def test_nothing_that_is_kept_for_one_is_found_for_another(
    name: str, acme: Organization, other: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same arguments but for the organization: each computes for itself, and the tag of the one
    ends nothing of the other's."""
    kept: Cached[Any, Any] = OURS[name]
    parameters = inspect.signature(kept.__wrapped__).parameters

    def of(organization: Organization) -> dict[str, Any]:
        return {each: organization.pk if each == kept.tenant else "the same" for each in parameters}

    def computed(**given: Any) -> str:
        return f"of {given[str(kept.tenant)]}"

    monkeypatch.setattr(kept, "_work", computed)
    for organization in (acme, other):
        outcome = kept.outcome(**of(organization))
        assert (outcome.status, outcome.value) == ("MISS", f"of {organization.pk}")
    for organization in (acme, other):
        outcome = kept.outcome(**of(organization))
        assert (outcome.status, outcome.value) == ("HIT", f"of {organization.pk}")
    invalidate(tenant_tag(acme.pk))
    assert kept.outcome(**of(other)).status == "HIT"
    assert kept.outcome(**of(acme)).status == "MISS"
    invalidate(*kept._tags(**of(acme)))
    assert kept.outcome(**of(other)).status == "HIT"
    assert kept.outcome(**of(acme)).status == "MISS"


def test_what_alice_has_read_charlie_does_not_get(
    text_url: str,
    alice_api: APIClient,
    charlie_api: APIClient,
    charlie: User,
    client_for: ClientFor,
) -> None:
    """Every address that tells of her job, once all of it is kept."""
    file = text_url.removesuffix("/text")
    urls = [text_url, result_url(text_url), file, "/api/batch/jobs"]
    for url in urls * 2:
        assert alice_api.get(url).status_code == 200
    known = alice_api.get(text_url)["ETag"]
    for url in urls[:-1]:
        for headers in ({}, {"If-None-Match": known}):
            refused = charlie_api.get(url, headers=headers)
            assert refused.status_code == 404
            assert "X-Cache" not in refused
            assert b"Acme" not in body(refused)
    assert charlie_api.get("/api/batch/jobs").json()["results"] == []
    page = client_for(charlie).get("/jobs")
    assert {count for *_, count in page.context["chips"]} == {0}


def test_who_may_not_any_more_is_refused_before_the_cache_is_asked(
    text_url: str, alice_api: APIClient, alice: User, acme: Organization
) -> None:
    known = alice_api.get(text_url)
    assert known["X-Cache"] == "MISS"
    acme.memberships.filter(user=alice).delete()
    for headers in ({}, {"If-None-Match": known["ETag"]}, {"If-None-Match": "*"}):
        refused = alice_api.get(text_url, headers=headers)
        assert refused.status_code in (401, 403)
        assert "ETag" not in refused
