from pathlib import Path

import pytest
from pytest_django import Settings

from tests.queue.conftest import bell

__all__ = ["bell", "data_dir", "roomy"]


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    """A data directory of the test's own."""
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    return Path(settings.DOCMILL_DATA_DIR)


@pytest.fixture
def roomy(settings: Settings) -> None:
    """As many files may run at once as a test claims."""
    settings.QUEUE_LANES = settings.QUEUE_LANES | {"default": 100}
