"""The database connections of a process that serves requests: a bounded pool, and what it is doing.

Web processes pool (`config/asgi.py`, `config/wsgi.py`), since many threads share few connections
there. Workers, beat and commands keep a plain connection per thread: they have few threads, each
works all the time, and a pool that was open before a fork would be broken after it.
SQLite has neither: its connections are cheap and are files.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypedDict

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, OperationalError, close_old_connections, connections
from django.http import HttpRequest, HttpResponseBase

ENGINE = "apps.core.postgres"


class AllInUse(OperationalError):
    """No connection of the pool came free within DB_CONNECTION_TIMEOUT."""


class PoolState(TypedDict):
    """Connections that are open, of these in use and idle, and how many threads wait for one."""

    size: int
    in_use: int
    idle: int
    waiting: int


def use_pool() -> None:
    """From now on this process takes its connections to PostgreSQL from a pool."""
    database = connections.settings[DEFAULT_DB_ALIAS]
    if database["ENGINE"] == ENGINE:
        database["CONN_MAX_AGE"] = 0  # a connection goes back at the end of each request
        database["OPTIONS"]["pool"] = dict(settings.DATABASE_POOL)


def pool_state() -> PoolState | None:
    """What the pool of this process is doing now, without asking the database; None without one."""
    pool = getattr(connections[DEFAULT_DB_ALIAS], "pool", None)
    return pool.state() if pool else None


def give_back() -> None:
    """Lets others have this thread's connection while it does what needs none, such as talking to
    a slow client. The next query takes one again. Nothing happens in a transaction, or without a
    pool."""
    if not connections[DEFAULT_DB_ALIAS].in_atomic_block:  # Django would close it all the same
        close_old_connections()


class GivesBack:
    """Gives the connection back before an answer is sent that its client may take long to read."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if response.streaming:
            give_back()
        return response


@contextmanager
def aside(*, seconds: float) -> Iterator[None]:
    """Within, this thread has a connection of its own beside the pool, which is closed at the end.

    For who looks how the database is: an exhausted pool says nothing about that. Connecting and
    each statement end after about `seconds`, where the server lives enough to be told.
    """
    before = connections[DEFAULT_DB_ALIAS]
    own = before.copy()
    _make_impatient(own, seconds)
    connections[DEFAULT_DB_ALIAS] = own
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = before
        own.close()


def _make_impatient(wrapper: Any, seconds: float) -> None:
    options = wrapper.settings_dict["OPTIONS"]
    options.pop("pool", None)
    wrapper.settings_dict["CONN_MAX_AGE"] = 0
    if wrapper.vendor == "postgresql":
        options["connect_timeout"] = max(1, round(seconds))
        told = options.get("options", "")
        options["options"] = f"{told} -c statement_timeout={round(seconds * 1000)}".strip()
    elif wrapper.vendor == "sqlite":
        options["timeout"] = seconds
