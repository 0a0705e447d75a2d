"""What tests of pages share: a data directory of their own, and Alice's browser."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from tests.conftest import ClientFor


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, settings: Settings) -> Path:
    settings.DOCMILL_DATA_DIR = tmp_path / "data"
    return Path(settings.DOCMILL_DATA_DIR)


@pytest.fixture
def alice_web(alice: User, client_for: ClientFor) -> Client:
    return client_for(alice)
