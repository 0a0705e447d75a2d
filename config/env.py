"""Readers of the environment, and of what it does not say: the data directory and what is in it."""

import hashlib
import logging
import math
import os
import secrets
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

READ_BY_PEOPLE = frozenset({"laptop", "development", "test"})
"""Values of ENVIRONMENT."""
UNIX_SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel allows 108 on Linux and 104 on macOS, with the final NUL."""


TRUE, FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})
DATABASES = frozenset({"sqlite", "postgres", "postgresql", "psql", "pgsql"})
"""Schemes of DATABASE_URL."""


class Environment(environ.FileAwareEnv):
    """The environment, where a value that cannot be read is an error that names its variable.

    Every reader raises ImproperlyConfigured. What was given is not repeated: it may be a secret.
    """

    def get_value(self, var: str, *args: Any, **options: Any) -> Any:
        try:
            return super().get_value(var, *args, **options)
        except OSError as error:
            raise ImproperlyConfigured(f"{var}_FILE cannot be read: {error}.") from error
        except ValueError as error:
            raise ImproperlyConfigured(f"{var}: {error}.") from error

    def bool(self, var: str, *, default: bool) -> bool:
        """A typo is not taken for "no": that would switch protection off."""
        word = str(self.get_value(var, cast=str, default=str(default))).strip().lower()
        if word not in TRUE | FALSE:
            raise ImproperlyConfigured(f"{var} is true or false, not {word!r}.")
        return word in TRUE

    def float(self, var: str, *, default: float) -> float:
        number = self.get_value(var, cast=float_of, default=default)
        return float_of(number)

    def db_url(self, var: str, default: str) -> Any:
        """A database that Docmill runs on, as Django names it."""
        if urlsplit(self.get_value(var, cast=str, default=default)).scheme not in DATABASES:
            raise ImproperlyConfigured(
                f"{var} is postgres://user:password@host/name or sqlite:////path."
            )
        return super().db_url(var, default=default)

    def email_url(self, var: str, default: str) -> Any:
        try:
            return super().email_url(var, default=default)
        except ImproperlyConfigured as error:
            raise ImproperlyConfigured(f"{var}: {error}.") from error


def float_of(text: str | float) -> float:
    """The number. Raises ValueError for what is none, has a unit, or is not finite."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a finite number is needed")
    return number


def data_dir(path: str, name: str) -> Path:
    """The directory at `path`, absolute, made with mode 0700 if it is not there.

    Raises ImproperlyConfigured, with the `name` of the setting, where it cannot be made.
    """
    directory = Path(path).expanduser().resolve()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(f"{name} cannot be made: {error}.") from error
    return directory


def generated_secret(path: Path, random_bytes: int = 50) -> str:
    """The secret kept in the file `path`: random bytes in base64, made on first use, readable by
    its owner only.

    Safe when several processes start at once: the file is linked into place whole, and whoever
    comes second reads the first one's secret. Raises ImproperlyConfigured where it can be neither
    read nor made.
    """
    try:
        return _kept_secret(path, random_bytes)
    except OSError as error:
        raise ImproperlyConfigured(
            f"DOCMILL_DATA_DIR: {error}. Whoever runs Docmill has to own that folder."
        ) from error


def _kept_secret(path: Path, random_bytes: int) -> str:
    if not path.exists():
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.touch(0o600)
        draft.write_text(secrets.token_urlsafe(random_bytes))
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


def log_format(asked: str, environment: str) -> str:
    """`json` or `pretty`, as `asked`; `auto` is pretty where `environment` is a place at which a
    person reads along.

    Not by whether there is a terminal: `manage.py up` hears its processes through pipes, and a
    pager is no log collector. Raises ImproperlyConfigured for any other word.
    """
    if asked in {"json", "pretty"}:
        return asked
    if asked != "auto":
        raise ImproperlyConfigured(f"LOG_FORMAT is auto, json or pretty, not {asked!r}.")
    return "pretty" if environment in READ_BY_PEOPLE else "json"


def at_least_warning(level: str) -> str:
    """`level`, or WARNING where that is more. Raises ImproperlyConfigured where it is none."""
    known = logging.getLevelNamesMapping()
    if level not in known:
        names = "DEBUG, INFO, WARNING, ERROR or CRITICAL"
        raise ImproperlyConfigured(f"LOG_LEVEL is {names}, not {level!r}.")
    return level if known[level] > logging.WARNING else "WARNING"


def origin_of(url: str) -> str:
    """Scheme and host of `url`, as a security policy names them; empty for a path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
