"""The pool of a web process: on its own against a real server, and behind the real web server."""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.db import connection, transaction

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from apps.audit.services import record
from apps.core.pool import AllInUse, aside, pool_state
from apps.core.postgres.base import Pool, check
from tests.jobs.serving import Web
from tests.processes import eventually, live_database_url

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def pool() -> Iterator[Pool]:
    """At most two connections to the test's database."""
    made = Pool(
        kwargs=_where(), open=True, check=check, min_size=1, max_size=2, timeout=0.3, name="tests"
    )
    yield made
    made.close()


def _where() -> dict[str, object]:
    known = connection.get_connection_params()
    return {name: known[name] for name in ("dbname", "user", "host") if name in known} | {
        "autocommit": True
    }


def test_an_exhausted_pool_is_told_from_a_server_that_is_gone(pool: Pool) -> None:
    first, second = pool.getconn(), pool.getconn()
    assert pool.state() == {"size": 2, "in_use": 2, "idle": 0, "waiting": 0}
    started = time.monotonic()
    with pytest.raises(AllInUse):
        pool.getconn()
    assert 0.3 <= time.monotonic() - started < 5
    pool.putconn(first)
    assert pool.state() == {"size": 2, "in_use": 1, "idle": 1, "waiting": 0}
    pool.putconn(pool.getconn())
    pool.putconn(second)
    assert pool.state()["in_use"] == 0


def test_who_waits_is_counted_and_gets_the_next_in_turn(pool: Pool) -> None:
    held = [pool.getconn(), pool.getconn()]
    served: list[int] = []

    def ask(number: int) -> None:
        found = pool.getconn(30)
        served.append(number)
        pool.putconn(found)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for number, thread in enumerate(threads, 1):
        thread.start()
        eventually(lambda n=number: pool.state()["waiting"] == n)
    pool.putconn(held.pop())
    for thread in threads:
        thread.join(30)
    assert served == [0, 1, 2]
    pool.putconn(held.pop())
    assert pool.state()["in_use"] == 0


def test_a_connection_that_was_cut_is_replaced_before_it_is_given(pool: Pool) -> None:
    cut = pool.getconn()
    pid = cut.info.backend_pid
    pool.putconn(cut)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
    found = pool.getconn()
    assert found.execute("SELECT 1").fetchone() == (1,)
    assert found.info.backend_pid != pid
    pool.putconn(found)


def test_a_server_that_is_gone_is_told_at_once(tmp_path: Path) -> None:
    where = {"host": str(tmp_path), "dbname": "none", "user": "nobody"}
    made = Pool(kwargs=where, open=True, check=check, min_size=0, max_size=2, timeout=30)
    try:
        for _ in range(4):  # more often than there are turns: each was given back
            started = time.monotonic()
            with pytest.raises(psycopg.OperationalError, match="cannot be reached") as raised:
                made.getconn()
            assert not isinstance(raised.value, AllInUse)
            assert time.monotonic() - started < 7
    finally:
        made.close()


def test_aside_is_another_connection_that_ends_what_is_slow() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        mine = cursor.fetchone()
    from django.db import OperationalError, connections

    with aside(seconds=0.5), connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        [other] = cursor.fetchone()
        with pytest.raises(OperationalError, match="statement timeout"):
            cursor.execute("SELECT pg_sleep(20)")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone() == mine
        cursor.execute("SELECT pid FROM pg_stat_activity")
        eventually(lambda: other not in _backends())


def _backends() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity")
        return [pid for (pid,) in cursor.fetchall()]


def test_only_processes_that_serve_have_a_pool() -> None:
    assert pool_state() is None
    assert connection.settings_dict["CONN_MAX_AGE"] == 60


# --- behind the web server ---------------------------------------------------------------------


@pytest.fixture
def web(tmp_path: Path, alice: User, acme: Organization) -> Iterator[Callable[..., Web]]:
    started: list[Web] = []

    def start(**env: str) -> Web:
        server = Web(log=tmp_path / "web.log", data_dir=tmp_path / "data", env=env)
        server.key = create_api_key(organization=acme, user=alice, name="web")[1]
        started.append(server)
        return server.wait_until_ready()

    yield start
    for server in started:
        server.close()


def test_an_exhausted_pool_waits_then_says_so_and_never_fails(web: Callable[..., Web]) -> None:
    server = web(DB_MAX_CONNECTIONS="1", DB_CONNECTION_TIMEOUT="1500")
    assert server.ask("GET", "/api/batch/jobs")[0] == 200
    late: list[int] = []
    with transaction.atomic():
        with connection.cursor() as cursor:  # whoever shows a key waits in a query
            cursor.execute("LOCK TABLE accounts_apikey IN ACCESS EXCLUSIVE MODE")
        holder = threading.Thread(target=lambda: late.append(server.ask("GET", "/api/keys")[0]))
        holder.start()
        eventually(lambda: _waiters() == 1)
        started = time.monotonic()
        status, headers, body = server.ask("GET", "/api/batch/jobs")
        assert 1.4 < time.monotonic() - started < 10
        assert (status, json.loads(body)["code"]) == (503, "server.busy")
        assert headers["content-type"] == "application/problem+json"
        assert int(headers["retry-after"]) > 0
        status, headers, body = server.ask("GET", "/sign-in", Accept="text/html")
        assert status in (200, 503)  # needs a connection or not, but never fails
        health = json.loads(server.ask("GET", "/health")[2])
        assert health["checks"]["database"]["status"] == "connected"
    holder.join(30)
    assert late == [200]
    assert server.ask("GET", "/api/batch/jobs")[0] == 200
    assert " 500 " not in server.output


def _waiters() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)"
            " WHERE NOT granted AND datname = current_database()"  # others test, too
        )
        return int(cursor.fetchone()[0])


def test_more_threads_than_connections_share_them(web: Callable[..., Web]) -> None:
    server = web(DB_MIN_CONNECTIONS="1", DB_MAX_CONNECTIONS="2")
    seen: list[int] = []
    until = time.monotonic() + 2  # longer than a connection has to be old to be counted

    def ask() -> None:
        while time.monotonic() < until:
            seen.append(server.ask("GET", "/api/batch/jobs")[0])

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, len(_backends_of(server)))
        time.sleep(0.02)
    assert len(seen) >= len(threads)
    assert set(seen) == {200}
    assert 1 <= most <= 2


def _backends_of(server: Web) -> list[int]:
    """Of the pool of `server`: all but ours, and those that look beside the pool."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            " AND backend_start < now() - interval '0.5 s'"
        )
        return [pid for (pid,) in cursor.fetchall()]


def test_a_slow_upload_and_a_stream_hold_no_connection(web: Callable[..., Web]) -> None:
    server = web(DB_MAX_CONNECTIONS="1", DB_CONNECTION_TIMEOUT="3000")
    with closing(server.connect()) as stream, server.begin([b"--x\r\n"], 1000) as upload:
        stream.request(
            "GET", "/api/batch/jobs/events", headers={"Authorization": f"Bearer {server.key}"}
        )
        answer: http.client.HTTPResponse = stream.getresponse()
        assert answer.status == 200
        answer.readline()
        for _ in range(3):
            assert server.ask("GET", "/api/batch/jobs")[0] == 200
        assert upload.fileno() > 0


FILL = """
INSERT INTO audit_auditentry (id, chain_id, number, at, organization_id, actor_id, actor_name,
    action, target, target_id, detail, reason, previous, hash)
SELECT gen_random_uuid(), chain_id, 1000 + n, at, organization_id, actor_id, actor_name,
    action, target, target_id, repeat('x', 2000), '', previous, hash
FROM audit_auditentry, generate_series(1, 20000) AS n
WHERE id = %s
"""


def test_who_fetches_the_audit_log_slowly_holds_no_connection(
    web: Callable[..., Web], acme: Organization, alice: User
) -> None:
    entry = record(organization=acme, actor=alice, action="test.filled")
    with connection.cursor() as cursor:
        cursor.execute(FILL, [entry.pk])
    server = web(DB_MAX_CONNECTIONS="1", DB_CONNECTION_TIMEOUT="3000")
    with closing(server.connect()) as slow:
        slow.request("GET", "/api/audit.ndjson", headers={"Authorization": f"Bearer {server.key}"})
        answer: http.client.HTTPResponse = slow.getresponse()
        assert answer.status == 200
        answer.readline()
        for _ in range(3):
            assert server.ask("GET", "/api/batch/jobs")[0] == 200
        assert sum(1 for _ in answer) >= 20_000


def test_url_of_the_tests_is_pooled_like_any() -> None:
    assert live_database_url().startswith("postgres://")
    assert connection.settings_dict["ENGINE"] == "apps.core.postgres"
