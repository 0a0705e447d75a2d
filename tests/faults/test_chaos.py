"""A storm with a seed. Short here; `make chaos SEED=... MINUTES=... KILLS=...` for a long one."""

import os
import sys
from pathlib import Path

import pytest

from tests.faults.chaos import Chaos
from tests.faults.stage import Stage

SEED = int(os.environ.get("CHAOS_SEED", "1"))
MINUTES = float(os.environ.get("CHAOS_MINUTES", "0.3"))
KILLS = int(os.environ.get("CHAOS_KILLS", "40"))
LOG = os.environ.get("CHAOS_LOG", "")

pytestmark = [
    # Unless it was asked for, in one pass only.
    *([] if "CHAOS_SEED" in os.environ else [pytest.mark.postgres]),
    pytest.mark.django_db(transaction=True),
    pytest.mark.timeout(int(MINUTES * 60) + 300),
]


def test_nothing_is_lost_done_twice_or_stuck(
    stage: Stage, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with Path(LOG or tmp_path / "chaos.log").open("a") as log:

        def say(line: str) -> None:
            log.write(line + "\n")
            log.flush()

        say(f"seed {SEED}, {MINUTES:g} minutes or {KILLS} kills")
        chaos = Chaos(stage, SEED, say)
        chaos.run(kills=KILLS, seconds=MINUTES * 60)
        stage.end()
        told = chaos.check()
        say(told)
    with capsys.disabled():
        sys.stdout.write(f"\nchaos, seed {SEED}: {chaos.kills} kills; {told}\n")
