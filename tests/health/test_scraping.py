"""Who may read /metrics, what it says, and that nothing that hangs keeps it from answering."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client, override_settings
from pytest_django import Settings

from apps.accounts.models import Organization, User
from apps.core import metric_files
from apps.health import readings
from tests.batches import submit
from tests.conftest import ClientFor
from tests.health.scraped import Samples, parsed, total
from tests.processes import Process, eventually
from tests.servers import Valkey

pytestmark = pytest.mark.django_db

TOKEN = "t0ken-of-prometheus"
ASK = {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}", "HTTP_HOST": "10.1.2.3:8000"}


@pytest.fixture(autouse=True)
def _token(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read for another test is not told again."""
    settings.METRICS_TOKEN = TOKEN
    fresh = [readings.Source(each.name, each._read) for each in readings.SOURCES]
    monkeypatch.setattr(readings, "SOURCES", fresh)


def scrape() -> Samples:
    answer = Client().get("/metrics", **ASK)
    assert answer.status_code == 200, answer.content
    return parsed(answer.content.decode())


@pytest.mark.once
def test_a_token_is_enough_whatever_the_host_and_without_https(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get("/metrics", **ASK)
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=0.0.4")
    assert answer["Cache-Control"] == "no-store"
    assert "sessionid" not in answer.cookies


@pytest.mark.once
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer wrong", f"Basic {TOKEN}", TOKEN])
def test_who_shows_nothing_or_something_else_is_told_no(header: str) -> None:
    answer = Client().get("/metrics", HTTP_AUTHORIZATION=header)
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "auth.forbidden"
    assert "docmill_" not in answer.content.decode()


@pytest.mark.once
def test_without_a_token_in_the_settings_an_empty_one_opens_nothing(settings: Settings) -> None:
    settings.METRICS_TOKEN = ""
    for header in ("", "Bearer", "Bearer "):
        assert Client().get("/metrics", HTTP_AUTHORIZATION=header).status_code == 403


@pytest.mark.once
@pytest.mark.parametrize(
    ("address", "forwarded", "status"),
    [
        ("10.1.2.3", "", 200),
        ("10.2.2.3", "", 403),
        # Who comes through a proxy is who it says, not the proxy.
        ("10.9.9.9", "10.1.2.3", 200),
        ("10.9.9.9", "203.0.113.7", 403),
        # A proxy that nobody named brings anybody.
        ("10.1.2.3", "203.0.113.7", 403),
        ("10.1.2.3", "10.1.2.3", 403),
        # Anybody can say so.
        ("203.0.113.7", "10.1.2.3", 403),
    ],
)
def test_networks_may_read_without_a_token(
    settings: Settings, address: str, forwarded: str, status: int
) -> None:
    settings.METRICS_ALLOWED_NETWORKS = ["10.1.0.0/16"]
    settings.TRUSTED_PROXIES = ["10.9.9.9"]
    more = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    assert Client().get("/metrics", REMOTE_ADDR=address, **more).status_code == status


@pytest.mark.once
def test_staff_may_read_and_others_who_are_signed_in_may_not(
    alice: User, client_for: ClientFor
) -> None:
    client = client_for(alice)
    assert client.get("/metrics").status_code == 403
    User.objects.filter(pk=alice.pk).update(is_staff=True)
    assert client.get("/metrics").status_code == 200
    assert client.post("/metrics").status_code == 405


@pytest.mark.once
def test_switched_off_it_says_so() -> None:
    with override_settings(ENABLE_METRICS=False):
        answer = Client().get("/metrics", **ASK)
    assert (answer.status_code, answer.json()["code"]) == (503, "metrics.off")


@pytest.mark.once
def test_a_folder_that_somebody_has_for_too_long_is_a_503(
    settings: Settings, tmp_path: Path
) -> None:
    settings.METRICS_DIR = tmp_path
    with metric_files._alone(tmp_path, seconds=0.0):
        answer = Client().get("/metrics", **ASK)
    assert (answer.status_code, answer.json()["code"]) == (503, "metrics.unreadable")
    assert answer["Retry-After"] == "5"


@pytest.mark.django_db(transaction=True)
def test_the_queue_is_told_as_it_is_in_the_database(acme: Organization) -> None:
    job = submit(acme, "one", "two", "three")
    job.files.filter(position=1).update(is_held=True)
    samples = scrape()
    lane = {"lane": "default"}
    assert total(samples, "docmill_queue_rows", lane | {"at": "waiting"}) == 2
    assert total(samples, "docmill_queue_rows", lane | {"at": "held"}) == 1
    assert total(samples, "docmill_queue_rows") == 3
    assert 0 <= total(samples, "docmill_queue_oldest_seconds", lane) < 100
    assert total(samples, "docmill_jobs_open", {"state": "queued"}) == 1
    assert total(samples, "docmill_queue_limit", lane) == 3
    assert total(samples, "docmill_collector_up") == 3
    assert total(samples, "docmill_redis_memory_bytes") > 0
    assert total(samples, "docmill_storage_free_bytes") > 0
    assert total(samples, "docmill_build_info", {"database": connection.vendor}) == 1


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The database does not answer; when it was asked."""
    asked: list[float] = []
    end = threading.Event()

    def hang() -> readings.Readings:
        asked.append(time.monotonic())
        end.wait(60)
        raise OSError("it was gone")

    sources = [readings.Source("database", hang), *readings.SOURCES[1:]]
    monkeypatch.setattr(readings, "SOURCES", sources)
    yield asked
    end.set()
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "metrics-database"])


@pytest.mark.once
def test_a_database_that_hangs_costs_its_own_numbers_and_two_seconds(hanging: list[float]) -> None:
    began = time.monotonic()
    samples = scrape()
    assert time.monotonic() - began < 2 * readings.DEADLINE_SECONDS
    assert total(samples, "docmill_collector_up", {"source": "database"}) == 0
    assert total(samples, "docmill_collector_up", {"source": "redis"}) == 1
    assert "docmill_queue_rows" not in samples
    assert "docmill_redis_memory_bytes" in samples
    scrape()
    assert len(hanging) == 1  # one thread, however often it is asked


@pytest.mark.once
def test_while_redis_is_away_the_rest_is_told(valkey: Valkey) -> None:
    valkey.stop()
    samples = scrape()
    assert total(samples, "docmill_collector_up", {"source": "redis"}) == 0
    assert total(samples, "docmill_collector_up", {"source": "database"}) == 1
    assert "docmill_redis_memory_bytes" not in samples


@pytest.mark.once
def test_what_was_read_is_kept_for_some_seconds() -> None:
    source = readings.Source("counting", lambda: asked.append(1) or [])
    asked: list[int] = []
    for _ in range(5):
        assert source.ask().result(5) == []
    assert asked == [1]


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_the_command_answers_where_there_is_no_web_server(
    manage: Callable[..., Process], tmp_path: Path
) -> None:
    import httpx

    env = {"METRICS_TOKEN": TOKEN, "METRICS_DIR": str(tmp_path / "metrics")}
    command = manage("metrics", "--listen", "127.0.0.1:0", env=env)
    command.wait_for("http://127.0.0.1:")
    url = command.output[command.output.index("http://") :].split()[0]
    assert httpx.get(url).status_code == 403
    answer = httpx.get(url, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200
    samples = parsed(answer.text)
    assert total(samples, "docmill_jobs_submitted_total") == 0
    assert "docmill_collector_up" not in samples
    assert httpx.get(url.replace("/metrics", "/else")).status_code == 404
