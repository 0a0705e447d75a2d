"""`manage.py web`: becomes the web server, and answers what is under way when it is to stop."""

import http.client
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from tests.jobs.serving import free_port
from tests.processes import Process, eventually

pytestmark = pytest.mark.once

CLIENTS = 8


def status_of(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.connect()
        connection.request("GET", "/sign-in")
        answer = connection.getresponse()
        answer.read()
        return answer.status


def is_serving(port: int) -> bool:
    with suppress(OSError, http.client.HTTPException):
        return status_of(port) == 200
    return False


def test_every_request_that_was_taken_is_answered_when_it_is_to_stop(
    manage: Callable[..., Process], tmp_path: Path
) -> None:
    port = free_port()
    web = manage(
        *("web", "--port", str(port), "--processes", "2"), env={"DOCMILL_DATA_DIR": str(tmp_path)}
    )
    web.wait_for(lambda: is_serving(port), seconds=90)
    answers: Counter[str] = Counter()

    def ask() -> None:
        while True:
            try:
                answers[str(status_of(port))] += 1
            except ConnectionRefusedError:
                return
            except (OSError, http.client.HTTPException) as error:
                answers[f"lost: {type(error).__name__}"] += 1
                return

    clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    eventually(lambda: answers["200"] > 20 * CLIENTS, seconds=60)
    assert web.terminate(seconds=30) == 0
    for client in clients:
        client.join()
    # A connection that nobody had taken up when the door closed is lost, as with every server. One
    # that just ends loses all of them, one for each client.
    lost = answers.total() - answers["200"]
    assert lost <= 2, answers


def test_a_process_of_it_that_dies_is_started_again(
    manage: Callable[..., Process], tmp_path: Path
) -> None:
    port = free_port()
    web = manage(
        *("web", "--port", str(port), "--processes", "1"), env={"DOCMILL_DATA_DIR": str(tmp_path)}
    )
    web.wait_for(lambda: is_serving(port), seconds=90)
    [serving] = [pid for pid in web.descendants() if "granian" in _command_of(pid)]
    os.kill(serving, signal.SIGKILL)
    time.sleep(0.5)
    web.wait_for(lambda: is_serving(port), seconds=60)


def _command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@pytest.mark.parametrize(
    "arguments", [["--processes", "0"], ["--port", "70000"], ["--max-megabytes", "-1"]]
)
def test_what_makes_no_sense_is_refused(arguments: list[str]) -> None:
    with pytest.raises(CommandError, match="must"):
        call_command("web", *arguments)
