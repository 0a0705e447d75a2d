"""Threads that a process does not wait for at its end."""

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Threads(Executor):
    """`count` of them, started with the first work.

    Python's own pool is waited for when the process ends. What answers a client that has hung up
    just then waits for an event loop that runs no more, and the process would never end.
    """

    def __init__(self, count: int, name: str) -> None:
        self._count, self._name = count, name
        self._lock = threading.Lock()
        self._has_begun = False
        self._work: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self._work.put((future, lambda: fn(*args, **kwargs)))
        with self._lock:
            if not self._has_begun:
                self._has_begun = True
                for number in range(self._count):
                    name = f"{self._name}-{number}"
                    threading.Thread(target=self._run, name=name, daemon=True).start()
        return future

    def _run(self) -> None:
        while True:
            future, work = self._work.get()
            if future.set_running_or_notify_cancel():
                try:
                    result = work()
                except BaseException as error:  # noqa: BLE001  who waits for it deals with it
                    future.set_exception(error)
                else:
                    future.set_result(result)
                    del result
            del future, work  # or they would be kept until the next
