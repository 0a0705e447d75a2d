import pytest

from apps.health import stored
from tests.storage.bucket import Server

pytestmark = pytest.mark.once


def test_health_tells_of_the_bucket(server: Server, data_dir: object) -> None:
    look = stored.Look()
    assert (look().status, look().type) == ("ok", "s3")
    server.kill()
    try:
        assert look().status == "ok"  # it is not asked again so soon
        look._valid_until = 0.0
        assert look().status == "failed"
    finally:
        server.start()
    look._valid_until = 0.0
    assert look().status == "ok"
