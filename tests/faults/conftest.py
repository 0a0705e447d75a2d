from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.accounts.services import create_organization, create_user
from tests.faults.ledger import close_ledger, open_ledger
from tests.faults.moving import moved_to
from tests.faults.nursery import Nursery
from tests.faults.stage import Stage
from tests.servers import Postgres, Valkey, scratch_key


@pytest.fixture(scope="session")
def nursery(pytestconfig: pytest.Config) -> Iterator[Nursery]:
    folder = pytestconfig.stash[scratch_key] / "nursery"
    folder.mkdir()
    nursery = Nursery(folder)
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def own_postgres(pytestconfig: pytest.Config) -> Iterator[Postgres]:
    """One that loses no commit when it is stopped at once."""
    folder = pytestconfig.stash[scratch_key] / "own"
    folder.mkdir(mode=0o700)
    postgres = Postgres(folder, survives_crashes=True)
    postgres.start()
    yield postgres
    postgres.close()


@pytest.fixture
def stage(
    request: pytest.FixtureRequest,
    transactional_db: None,
    nursery: Nursery,
    settings: Settings,
    valkey: Valkey,
) -> Iterator[Stage]:
    folder = scratch_folder(request.config)
    settings.DOCMILL_DATA_DIR = folder / "data"
    with ExitStack() as stack:
        postgres = None
        if "database_restart" in request.node.name:
            postgres = request.getfixturevalue("own_postgres")
            stack.enter_context(moved_to(postgres, folder / "dump.sql"))
        owner = create_user(email="alice@example.com", password=None, name="Alice")
        acme = create_organization(name="Acme", owner=owner)
        stage = Stage(acme, nursery=nursery, folder=folder, valkey=valkey, postgres=postgres)
        open_ledger()
        stack.callback(close_ledger)
        stack.callback(stage.close)
        yield stage


def scratch_folder(config: pytest.Config) -> Path:
    """A new folder with a path that is short enough for a socket, which pytest's own may not be."""
    scratch = config.stash[scratch_key]
    folder = scratch / f"stage-{len(list(scratch.glob('stage-*')))}"
    folder.mkdir()
    return folder
