from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.logs import sink as sinks
from tests.logs.service import Service
from tests.processes import Process
from tests.servers import Valkey


@pytest.fixture
def sink() -> Iterator[sinks.Sink]:
    with sinks.running() as running:
        yield running


@pytest.fixture
def service(
    tmp_path: Path, manage: Callable[..., Process], valkey: Valkey, settings: Settings
) -> Iterator[Service]:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    service = Service(tmp_path, manage)
    yield service
    service.close()
