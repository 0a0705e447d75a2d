import json
import socket
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from django.core.management import call_command

from tests.processes import Process
from tests.servers import Valkey

Manage = Callable[..., Process]


@pytest.fixture
def silent_server() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.django_db
def test_prints_the_state_and_returns(valkey: Valkey) -> None:
    out = StringIO()
    call_command("health", stdout=out)
    assert out.getvalue().startswith("degraded")  # nobody works here
    assert "database" in out.getvalue()
    assert "workers      failed" in out.getvalue()


@pytest.mark.django_db
def test_tells_how_documents_are_kept_in(valkey: Valkey) -> None:
    out = StringIO()
    call_command("health", "--json", stdout=out)
    isolation = json.loads(out.getvalue())["isolation"]
    layers = {"user", "network", "processes", "files", "memory", "parents_death"}
    assert set(isolation) == {*layers, "weaknesses"}
    assert isolation["network"] != "open"
    text = StringIO()
    call_command("health", stdout=text)
    assert all(weakness in text.getvalue() for weakness in isolation["weaknesses"])
    assert isolation["network"] in text.getvalue()


@pytest.mark.django_db
def test_degraded_is_no_failure(valkey: Valkey) -> None:
    valkey.kill()
    out = StringIO()
    call_command("health", "--json", stdout=out)
    assert json.loads(out.getvalue())["status"] == "degraded"


@pytest.mark.once
def test_unhealthy_exits_with_1_and_tells_no_secret(
    manage: Manage, silent_server: int, valkey: Valkey
) -> None:
    url = f"postgres://clerk:hunter2@127.0.0.1:{silent_server}/db"
    valkey.freeze()
    process = manage("health", "--json", env={"DATABASE_URL": url, "LOG_LEVEL": "CRITICAL"})
    assert process.wait(seconds=60) == 1
    body = json.loads(process.output)
    assert body["status"] == "unhealthy"
    assert body["checks"]["database"]["status"] == "timeout"
    assert body["checks"]["database"]["type"] == "postgresql"
    assert all(check["latency_ms"] <= 1200 for check in body["checks"].values())
    assert "hunter2" not in process.output
    assert "127.0.0.1" not in process.output
