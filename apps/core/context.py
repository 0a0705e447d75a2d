"""What every line of the log tells of what is going on: the request, or the row a worker runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from structlog.contextvars import (
    bind_contextvars,
    bound_contextvars,
    clear_contextvars,
    get_contextvars,
)

NO_REQUEST = "-"


def bind(**facts: str) -> None:
    """Lets every line from here on, in this thread or task, tell `facts`."""
    bind_contextvars(**facts)


@contextmanager
def bound(**facts: str) -> Iterator[None]:
    """The same within; facts that are empty are left out."""
    with bound_contextvars(**{name: fact for name, fact in facts.items() if fact}):
        yield


def forget() -> None:
    """Lets what follows tell nothing of what was before: threads are used again."""
    clear_contextvars()


def known() -> dict[str, str]:
    """What lines tell now."""
    return get_contextvars()


def current_request_id() -> str:
    """The id of the request that is being answered, or from which the row comes that a worker
    runs; `-` outside both."""
    return known().get("request_id", NO_REQUEST)


def request_id_to_keep() -> str:
    """The same to be kept with what the request makes; "" outside."""
    return known().get("request_id", "")
