"""Every operation of the schema, asked by everybody in every way that schemathesis knows."""

import os
from pathlib import Path

import pytest

from tests.doors import schemes
from tests.doors.world import ROLES, World
from tests.jobs.serving import Web

# PostgreSQL refuses what SQLite takes: NUL in a text, numbers that are too large for a column.
pytestmark = [pytest.mark.postgres, pytest.mark.timeout(0)]

SECONDS = int(os.environ.get("FUZZ_API_SECONDS", "30"))
SEED = int(os.environ.get("FUZZ_API_SEED", "1"))
REPORT = os.environ.get("FUZZ_API_REPORT", "")


def test_the_schema_holds_for_everybody(web: Web, acme_world: World, tmp_path: Path) -> None:
    callers = [acme_world.headers(role, how) for role in ROLES for how in ("key", "session")]
    for each in callers:
        assert web.ask("GET", "/api/organization", **{"Authorization": "", **each})[0] == 200
    told = schemes.run(
        f"http://127.0.0.1:{web.port}",
        tmp_path,
        ids=acme_world.ids,
        callers=[*callers, {}],
        own=acme_world.own,
        seed=SEED,
        seconds=SECONDS,
    )
    if REPORT:
        Path(REPORT).write_text(told.stdout + told.stderr)
    assert told.returncode == 0, told.stdout[-30_000:] + told.stderr[-4000:]
    web.assert_no_trouble()
