"""What `up` prints when it is ready. Pure."""

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Admin:
    """Who signs in. `password` is there only in the run that made the user."""

    email: str
    password: str | None


def ready_screen(*, url: str, admin: Admin | None, key_file: Path, file_id: str | None) -> str:
    """Where to go, who to sign in as, lines to paste, how to stop.

    `file_id` is that of a file whose text can be fetched, if there is one yet.
    """
    return "\n".join([*_where(url, admin), *_try_it(url, admin, key_file, file_id), *_end()])


def _where(url: str, admin: Admin | None) -> list[str]:
    lines = ["", "Docmill is ready.", "", f"  Open      {url}/"]
    if admin is None:
        return [*lines, "  Sign in   make somebody who can: python manage.py create_admin"]
    lines.append(f"  Sign in   {admin.email}")
    if admin.password:
        lines.append(f"  Password  {admin.password}   (shown this once; change it in the admin)")
    return lines


def _try_it(url: str, admin: Admin | None, key_file: Path, file_id: str | None) -> list[str]:
    health = f"  curl {url}/health"
    if admin is None:
        return ["", "Try it:", health]
    curl = f'curl -H "Authorization: Bearer $(cat {shlex.quote(str(key_file))})"'
    upload = f"-F 'file=@-;filename=hello.txt;type=text/plain' {url}/api/batch/upload"
    lines = [
        f"  API key   {key_file}",
        "",
        "Try it (these lines can be pasted):",
        health,
        f"  echo 'Hello, mill.' | {curl} -F operation=extract {upload}",
        f"  {curl} {url}/api/batch/jobs",
    ]
    if file_id:
        lines.append(f"  {curl} {url}/api/batch/files/{file_id}/text")
    return lines


def _end() -> list[str]:
    return ["", "Ctrl-C stops everything.", ""]
