from collections.abc import Iterator

import pytest
from pytest_django import Settings

from apps.accounts.services import create_organization, create_user
from apps.queue import doorbell
from tests.faults.ledger import close_ledger, open_ledger
from tests.faults.nursery import Nursery
from tests.faults.stage import Stage
from tests.servers import Valkey, scratch_key


@pytest.fixture(scope="session")
def nursery(pytestconfig: pytest.Config) -> Iterator[Nursery]:
    folder = pytestconfig.stash[scratch_key] / "nursery"
    folder.mkdir()
    nursery = Nursery(folder)
    yield nursery
    nursery.close()


@pytest.fixture
def stage(
    request: pytest.FixtureRequest,
    transactional_db: None,
    nursery: Nursery,
    settings: Settings,
    valkey: Valkey,
) -> Iterator[Stage]:
    scratch = request.config.stash[scratch_key]
    folder = scratch / f"stage-{len(list(scratch.glob('stage-*')))}"  # short enough for a socket
    folder.mkdir()
    settings.DOCMILL_DATA_DIR = folder / "data"
    doorbell._silent_until = 0.0
    owner = create_user(email="alice@example.com", password=None, name="Alice")
    acme = create_organization(name="Acme", owner=owner)
    stage = Stage(acme, nursery=nursery, folder=folder, valkey=valkey, postgres=None)
    open_ledger()
    yield stage
    stage.close()
    close_ledger()
