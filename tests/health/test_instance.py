import os
import socket
import stat
from pathlib import Path

import pytest

from apps.health.instance import AlreadyRunning, Instance, Port

pytestmark = pytest.mark.once


def test_second_claim_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "up.lock"
    with Instance(path) as instance:
        instance.tell(url="http://127.0.0.1:8000")
        with pytest.raises(AlreadyRunning) as refused:
            Instance(path)
    assert (refused.value.pid, refused.value.url) == (str(os.getpid()), "http://127.0.0.1:8000")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_claim_is_free_after_it_was_left(tmp_path: Path) -> None:
    for _ in range(2):
        with Instance(tmp_path / "up.lock"):
            pass


def test_next_port_when_somebody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wished = taken.getsockname()[1]
        port = Port("127.0.0.1", wished)
        port.release()
    assert wished < port.number < wished + Port.SEARCHED


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="needs SO_REUSEPORT")
def test_two_that_look_before_either_listens_get_different_ports() -> None:
    first = Port("127.0.0.1", 18200)
    second = Port("127.0.0.1", first.number)
    first.release()
    second.release()
    assert first.number != second.number


def test_url_is_one_that_a_browser_here_can_open() -> None:
    port = Port("0.0.0.0", 18300)
    port.release()
    assert port.url == f"http://127.0.0.1:{port.number}"


def test_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match="assign"):
        Port("192.0.2.1", 18400)
