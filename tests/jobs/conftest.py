from pathlib import Path

import pytest
from pytest_django import Settings


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    """A data directory of the test's own."""
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    return Path(settings.DOCMILL_DATA_DIR)
