from collections.abc import Iterator

import pytest

from apps.health import probes, telling
from tests.processes import eventually


@pytest.fixture(scope="session", autouse=True)
def _sandbox_is_known() -> None:
    """Looked at once per process; on a busy machine the first look may miss the deadline."""
    probes.SANDBOX.look()


@pytest.fixture(autouse=True)
def _nobody_else_looks() -> Iterator[None]:
    """What a test before found, or left hanging, answers nobody here."""
    telling._said.clear()
    yield
    for chain in probes.CHAINS:
        eventually(lambda chain=chain: chain._run is None or chain._run.is_over)
        chain._run = None
