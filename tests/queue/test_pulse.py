"""Workers and beat show that they turn, and who looks sees when one does not."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes import BASE_DIR, Process

pytestmark = pytest.mark.once


def look(file: Path, seconds: float) -> "subprocess.CompletedProcess[str]":
    """As a container is asked."""
    command = [sys.executable, "-m", "apps.core.pulse", str(file), "--seconds", str(seconds)]
    return subprocess.run(command, cwd=BASE_DIR, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "command",
    [("work", "--lanes", "default", "--slots", "1"), ("work", "--slots", "1", "--loop"), ("beat",)],
    ids=["worker", "loop", "beat"],
)
def test_what_runs_has_a_pulse_and_what_hangs_has_none(
    command: tuple[str, ...], manage: Callable[..., Process], tmp_path: Path
) -> None:
    file = tmp_path / "pulse"
    assert "no pulse" in look(file, 60).stderr
    running = manage(*command, "--pulse", str(file))
    running.wait_for(file.exists, seconds=60)
    first = file.stat().st_mtime
    running.wait_for(lambda: file.stat().st_mtime > first, seconds=60)
    assert look(file, 60).returncode == 0
    running.freeze()
    os.utime(file, (time.time() - 61, time.time() - 61))
    time.sleep(1.5)  # beat would touch it within a second
    assert look(file, 60).returncode == 1
    running.thaw()
    running.wait_for(lambda: look(file, 60).returncode == 0, seconds=60)
