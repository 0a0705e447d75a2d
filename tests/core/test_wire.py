"""Quick ways to Redis: they read what the client reads, and never an answer to something else."""

import multiprocessing
import select
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.caching.shared_cache import PREFIX
from apps.caching.stores import store
from apps.core.breaker import impatient
from apps.core.wire import OTHER, QuickParser, QuickPool, ask, connection_of, read_strings
from tests.servers import Valkey

pytestmark = pytest.mark.once

LONG = b"x" * 300_000
STRINGS = st.none() | st.binary(max_size=20) | st.sampled_from([b"\r\n", b"$1\r\n", b"*2\r\n"])


def written(value: bytes | None) -> bytes:
    return b"$-1\r\n" if value is None else b"$%d\r\n%b\r\n" % (len(value), value)


# No deadline: on a busy machine any of them may take long.
@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STRINGS, min_size=1, max_size=4))
def test_lists_of_strings_are_read_and_nothing_that_is_cut_off(values: list[bytes | None]) -> None:
    data = b"*%d\r\n" % len(values) + b"".join(map(written, values))
    assert read_strings(data) == values
    assert read_strings(written(values[0])) == values[0]
    assert all(read_strings(data[:end]) is OTHER for end in range(len(data)))
    assert read_strings(data + b"+OK\r\n") is OTHER


@pytest.mark.parametrize(
    "data", [b"+OK\r\n", b":1\r\n", b"-ERR no\r\n", b"*-1\r\n", b"*0\r\n", b"*1\r\n:1\r\n", b"*"]
)
def test_all_else_is_left_to_the_client(data: bytes) -> None:
    assert read_strings(data) is OTHER


@pytest.fixture
def client(valkey: Valkey) -> Iterator[Any]:
    client = redis.Redis(connection_pool=QuickPool.from_url(valkey.url, **impatient()))
    yield client
    client.close()


def test_every_kind_of_answer_is_what_the_client_makes_of_it(client: Any) -> None:
    assert ask(client, "SET", "a", b"\r\n") == b"OK"
    assert ask(client, "MGET", "a", "none", "a") == [b"\r\n", None, b"\r\n"]
    assert ask(client, "GET", "a") == b"\r\n"
    assert ask(client, "GET", "none") is None
    assert ask(client, "INCR", "n") == 1
    assert ask(client, "EVAL", "return {1, {'a'}, false}", 0) == [1, [b"a"], None]
    assert ask(client, "KEYS", "nothing*") == []
    with pytest.raises(redis.ResponseError, match="not an integer"):
        ask(client, "INCR", "a")
    with pytest.raises(redis.exceptions.NoScriptError):
        ask(client, "EVALSHA", "0" * 40, 0)
    assert client.set("long", LONG) is True
    assert ask(client, "MGET", "a", "long") == [b"\r\n", LONG]
    with client.pipeline(transaction=False) as pipe:
        assert pipe.get("a").incr("n").mget("a", "none").get("none").execute() == [
            *(b"\r\n", 2, [b"\r\n", None], None)
        ]
    assert len(client.connection_pool._available_connections) == 1


def test_one_that_the_server_has_closed_is_not_taken(client: Any, valkey: Valkey) -> None:
    assert ask(client, "SET", "a", "1") == b"OK"
    valkey.stop()
    valkey.start()
    assert ask(client, "GET", "a") is None


def test_what_comes_too_late_is_nobodys_answer(client: Any) -> None:
    assert ask(client, "SET", "a", "1") == b"OK"
    pool = client.connection_pool
    connection = pool.get_connection()
    connection.send_command("GET", "a")
    select.select([connection._sock], (), (), 5)
    pool.release(connection)  # with its answer
    assert ask(client, "GET", "none") is None
    assert ask(client, "GET", "a") == b"1"


def test_an_answer_that_nobody_waited_for_is_not_read_as_another_ones(valkey: Valkey) -> None:
    """What interrupts who waits for Redis may be anything: a signal, the end of a thread's time."""
    shared = store().shared
    shared.set_many({"of-acme": b"Acme's", "of-other": b"Other's"}, 60)
    valkey.freeze()

    def is_interrupted() -> None:
        with connection_of(shared._redis) as connection:
            connection.send_command("MGET", f"{PREFIX}of-acme")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        is_interrupted()
    threading.Timer(0.2, valkey.thaw).start()
    assert shared.get_many(["of-other"]) == {"of-other": b"Other's"}


def test_who_is_interrupted_while_asking_leaves_no_answer_behind(
    client: Any, valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(client, "SET", "a", "1") == b"OK"
    valkey.freeze()

    def interrupted(self: QuickParser, *_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(QuickParser, "read_response", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask(client, "GET", "a")
    threading.Timer(0.2, valkey.thaw).start()
    assert ask(client, "GET", "none") is None


def test_a_process_that_is_forked_has_connections_of_its_own(client: Any) -> None:
    assert ask(client, "CLIENT", "ID") > 0
    mine, context = ask(client, "CLIENT", "ID"), multiprocessing.get_context("fork")
    told = context.Queue()
    child = context.Process(target=lambda: told.put(ask(client, "CLIENT", "ID")))
    child.start()
    theirs = told.get(timeout=30)
    child.join(10)
    assert theirs != mine
    assert ask(client, "CLIENT", "ID") == mine


def test_there_are_no_more_of_them_than_is_allowed(valkey: Valkey) -> None:
    pool = QuickPool.from_url(valkey.url, **impatient() | {"max_connections": 2})
    first, second = pool.get_connection(), pool.get_connection()
    with pytest.raises(redis.ConnectionError):
        pool.get_connection()
    pool.release(second)
    pool.release(second)  # a second time it changes nothing
    assert pool.get_connection() is second
    assert first is not second
    pool.disconnect()
