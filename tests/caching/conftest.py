"""The stores under test."""

from typing import Any

import pytest

from tests.servers import Valkey

IN_MEMORY = {"BACKEND": "apps.caching.memory_cache.MemoryCache", "LOCATION": "memory"}


@pytest.fixture(params=["memory", "redis"])
def kept_in(request: pytest.FixtureRequest, settings: Any, valkey: Valkey) -> str:
    """Each store in turn, empty."""
    if request.param == "memory":
        settings.CACHES = {**settings.CACHES, "values": IN_MEMORY}
    return str(request.param)
