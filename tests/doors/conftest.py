"""A server process of the tests' own, and the world that it serves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.models import Organization
from tests.doors.world import World, furnish, people_of
from tests.jobs.serving import Web

LIVE = {
    # Streams end by themselves, and no one has too many of them open.
    "LIVE_STREAM_SECONDS": "1",
    "LIVE_STREAMS_PER_USER": "10000",
    "BATCH_MAX_UPLOADS": "100000",
    # A fuzz leaves what it stored; how full the disk of the machine is is not its matter.
    "STORAGE_MIN_FREE_BYTES": "0",
    "STORAGE_MIN_FREE_PERCENT": "0",
}


@pytest.fixture
def acme_world(transactional_db: None, acme: Organization, data_dir: Path) -> World:
    return furnish(people_of(acme, "acme"), "acme")


@pytest.fixture
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    settings.STORAGE_MIN_FREE_BYTES = settings.STORAGE_MIN_FREE_PERCENT = 0
    return Path(settings.DOCMILL_DATA_DIR)


@pytest.fixture
def web(acme_world: World, data_dir: Path, tmp_path: Path, settings: Settings) -> Iterator[Web]:
    env = {**LIVE, "SECRET_KEY": settings.SECRET_KEY}
    server = Web(log=tmp_path / "web.log", data_dir=data_dir, env=env)
    try:
        yield server.wait_until_ready()
        assert server.is_running
    finally:
        server.close()
