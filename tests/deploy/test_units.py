"""Scripts and units, by their own tools."""

import re
import subprocess
from pathlib import Path

import pytest

from apps.queue.lanes import lane_names
from tests.deploy.describing import ROOT

pytestmark = pytest.mark.once

UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))


@pytest.mark.tools
def test_the_units_are_clean(tmp_path: Path) -> None:
    for unit in UNITS:
        text = unit.read_text().replace("/opt/docmill/.venv/bin/python", "/bin/true")
        assert "ExecStart=/bin/true manage.py" in text
        (tmp_path / unit.name).write_text(text)
    paths = [str(tmp_path / unit.name) for unit in UNITS]
    verify = ["systemd-analyze", "verify", "--man=no", *paths]
    done = subprocess.run(verify, capture_output=True, text=True, check=False)
    about_ours = [line for line in done.stderr.splitlines() if "docmill" in line]
    assert about_ours == []
    wrong = tmp_path / "docmill-wrong.service"
    wrong.write_text((tmp_path / "docmill-web.service").read_text().replace("KillMode", "KillMood"))
    found = subprocess.run([*verify[:-3], wrong], capture_output=True, text=True, check=False)
    assert "KillMood" in found.stderr


@pytest.mark.tools
def test_the_scripts_are_clean() -> None:
    scripts = [ROOT / "deploy" / "make-secrets"]
    scripts += [path for path in (ROOT / ".ci").iterdir() if path.read_text().startswith("#!")]
    assert len(scripts) > 4
    done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_units_serve_every_lane() -> None:
    [text] = [unit.read_text() for unit in UNITS if "worker" in unit.name]
    named = re.findall(r"docmill-worker@(\S+)", text)
    assert sorted(lane for each in named for lane in each.split(",")) == sorted(lane_names())


def test_secrets_are_made_once_and_for_their_owner(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    make = [ROOT / "deploy" / "make-secrets", folder]
    subprocess.run(make, check=True, capture_output=True)
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(first) == {"secret_key", "postgres_password", "database_url"}
    assert len(first["secret_key"]) == 96
    assert first["postgres_password"] in first["database_url"]
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "secret_key").unlink()
    subprocess.run(make, check=True, capture_output=True)
    again = {path.name: path.read_text() for path in folder.iterdir()}
    assert again["secret_key"] != first["secret_key"]
    assert again["database_url"] == first["database_url"]
