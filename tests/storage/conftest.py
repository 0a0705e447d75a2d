from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.jobs.conftest import bell, data_dir
from tests.servers import scratch_key
from tests.storage.bucket import Server

__all__ = ["bell", "data_dir"]


@pytest.fixture(scope="session")
def started_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    folder = pytestconfig.stash[scratch_key] / "s3"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        server = Server(folder)
        server.start()
        yield server
        server.kill()


@pytest.fixture
def server(started_server: Server, settings: Settings) -> Server:
    """Running and empty, and where bytes are stored."""
    started_server.empty()
    settings.STORAGE_URL = started_server.url
    return started_server
