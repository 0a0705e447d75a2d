"""Readers for what the environment does not say: the data directory and what lives in it."""

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

UNIX_SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel allows 108 on Linux and 104 on macOS, with the final NUL."""


def data_dir(path: str) -> Path:
    """The directory at `path`, absolute, made with mode 0700 if it is not there."""
    directory = Path(path).expanduser().resolve()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def generated_secret(path: Path) -> str:
    """The secret kept in the file `path`; made on first use, readable by its owner only.

    Safe when several processes start at once: the file is linked into place whole, and whoever
    comes second reads the first one's secret.
    """
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(secrets.token_urlsafe(50))
        draft.chmod(0o600)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()


def embedded_socket(data: Path) -> Path:
    """Where the embedded Valkey of the data directory `data` listens.

    Inside `data`; when that path is too long for a unix socket, in a private directory under the
    system's temporary one, named after `data` so that every process finds the same place.
    """
    socket = data / "valkey" / "valkey.sock"
    if len(os.fsencode(socket)) <= UNIX_SOCKET_PATH_LIMIT:
        return socket
    digest = hashlib.sha256(os.fsencode(data)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"docmill-{os.getuid()}-{digest}" / "valkey.sock"
