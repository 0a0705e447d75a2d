"""How a command of `manage.py` ends where it cannot do what it is for: with a line that says why,
not with a traceback. `--traceback` shows that all the same."""

import os
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import DatabaseError, InterfaceError, OperationalError

CANNOT_START = 1
NO_DATABASE = 2
"""Not 1: what checks something ends with 1 when it found something."""
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""

MISSING_TABLE = frozenset({"42P01", "42703"})
"""SQLSTATE of PostgreSQL: no such table, no such column. Other errors in a statement are ours."""


def run(arguments: list[str]) -> None:
    """Does what the command line says. Raises SystemExit with what is above."""
    _open_standard()
    try:
        execute_from_command_line(arguments)
    except (ImproperlyConfigured, DatabaseError, InterfaceError, KeyboardInterrupt) as error:
        code, told = reason(error)
        if code is None or "--traceback" in arguments:
            raise
        sys.stderr.write(f"{told}\n")
        sys.exit(code)


def _open_standard() -> None:
    """Stands in for what the caller has closed (`>&-`): what is opened next would get its number,
    and then what is printed goes into a database."""
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(opened, True)
    os.close(opened)
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115  until it ends


def reason(error: BaseException) -> tuple[int | None, str]:
    """Exit code and line for `error`; None for a fault of the program."""
    words = " ".join(str(error).split()).rstrip(".")
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED, "Interrupted."
    if isinstance(error, ImproperlyConfigured):
        return CANNOT_START, f"Settings: {words}."
    if lacks_tables(error):
        return NO_DATABASE, f"Run `manage.py migrate` first: the database lacks tables ({words})."
    if isinstance(error, InterfaceError | OperationalError):
        return NO_DATABASE, f"The database cannot be used ({words}): see DATABASE_URL."
    return None, words


def lacks_tables(error: BaseException) -> bool:
    """Whether the database was not migrated, or not to this version."""
    if getattr(error.__cause__, "sqlstate", None) in MISSING_TABLE:
        return True
    return str(error).startswith(("no such table", "no such column"))  # of SQLite
