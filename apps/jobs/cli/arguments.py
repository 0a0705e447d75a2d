"""What `submit` and `jobs` have in common on the command line: where to, and as whom."""

import json
import os
import shlex
import uuid
from argparse import ArgumentParser, ArgumentTypeError, RawDescriptionHelpFormatter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from django.core.management.base import CommandError

from apps.core.checks import SETTINGS
from apps.core.commands import PROCESSORS, OwnCommand
from apps.jobs.cli.doors import Away, Door, Json, Refused
from apps.jobs.cli.local import LocalDoor, NoSuchUser, find_organization, find_user
from apps.jobs.cli.remote import RemoteDoor
from apps.jobs.cli.saving import path_for, save
from apps.jobs.cli.tables import indented, visible
from apps.jobs.formats import FORMATS
from apps.jobs.states import CLOSED

URL_VARIABLE = "DOCMILL_URL"
KEY_VARIABLE = "DOCMILL_API_KEY"
USAGE = 2
"""The exit code when what was asked for was not done; 1 is kept for files that failed."""


def undone(detail: str) -> CommandError:
    """What to raise when nothing is done: the exit code is argparse's own."""
    return CommandError(visible(detail), returncode=USAGE)


class DoorCommand(OwnCommand):
    """Base of the commands that speak to an installation, here or elsewhere."""

    requires_system_checks: list[str] = [SETTINGS, PROCESSORS]

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> Any:
        kwargs["formatter_class"] = RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def execute(self, *args: Any, **options: Any) -> Any:
        """Who reads JSON gets JSON also where nothing was done."""
        try:
            return super().execute(*args, **options)
        except CommandError as error:
            if options.get("json"):
                told = {"code": "client.failed", "detail": str(error)}
                problem = getattr(error.__cause__, "problem", told)
                self.stdout.write(json.dumps({"jobs": [], "problems": [problem]}, indent=2))
            raise

    def add_door_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="answer one JSON document")
        parser.add_argument(
            "--user",
            metavar="EMAIL",
            help="act as this user, in this installation; default: the only administrator",
        )
        parser.add_argument(
            "--url",
            type=_url,
            help=f"act on the installation at this address; default: ${URL_VARIABLE}",
        )
        parser.add_argument("--key", help=f"an API key there; default: ${KEY_VARIABLE}")

    def add_save_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--save",
            type=Path,
            metavar="FOLDER",
            help="write all results of the job into a file in this folder",
        )
        parser.add_argument(
            "--format", choices=list(FORMATS), default="zip", help="of what is saved (zip)"
        )

    def save(self, door: Door, job: Json, folder: Path, made: str) -> None:
        """Saves the results of `job`, and notes in it where. Raises Refused, Away, CommandError."""
        path = path_for(folder, job, made)
        try:
            save(path, lambda sink: door.fetch(job["id"], made, sink))
        except OSError as error:
            raise undone(f"{path} cannot be written ({error.strerror or error}).") from error
        job["saved"] = str(path)
        is_whole = job["state"] in CLOSED
        self.say(f"Saved: {path}{'' if is_whole else ' (so far: the job still runs)'}")

    def open_door(self, options: dict[str, Any]) -> Door:
        """The door that the options lead to. Raises CommandError."""
        here = [name for name in ("user", "organization", "all") if options.get(name)]
        if options["url"] and here:
            raise undone(f"--{here[0]} is for this installation, --url for another.")
        try:
            url = options["url"] or ("" if here else _url(os.environ.get(URL_VARIABLE, "")))
        except ArgumentTypeError as error:
            raise undone(f"{URL_VARIABLE} is not {error}.") from None
        if url:
            return _remote_door(url, options["key"], self.say)
        if options["key"]:
            raise undone("--key belongs to an installation elsewhere: give --url too.")
        try:
            return _local_door(options)
        except (NoSuchUser, Away) as error:
            raise undone(str(error)) from error

    def say(self, text: str) -> None:
        """A line for a person, away from what programs read. Not in red: nothing went wrong."""
        self.stderr.write(visible(text), str)

    def explain(self, refused: Refused) -> None:
        """Says what was refused, and which files or fields were the reason."""
        self.stderr.write(visible(str(refused)))
        for reason in refused.reasons:
            for line in indented(reason):
                self.say(line)


def follow_command(door: Door, job_id: str) -> str:
    """What to type to see the job."""
    return " ".join(filter(None, ("manage.py watch", job_id, door.address)))


def _url(text: str) -> str:
    """`text` as the address of an installation; "" stays. Raises ArgumentTypeError."""
    if not text:
        return ""
    wrong = ArgumentTypeError(f"an address such as https://mill.example.com: {text!r}")
    try:
        parts = urlsplit(text)
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        raise wrong from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise wrong
    if parts.username or parts.query or parts.fragment:
        raise wrong
    return text.rstrip("/")


def _remote_door(url: str, given: str | None, say: Callable[[str], None]) -> Door:
    key = (given or os.environ.get(KEY_VARIABLE, "")).strip()
    if not key:
        raise undone(f"Give an API key for {url}: --key, or {KEY_VARIABLE}.")
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise undone("The API key has characters that no key has.")
    return RemoteDoor(url, key, say=say)


def _local_door(options: dict[str, Any]) -> Door:
    if options.get("all"):
        return LocalDoor(None, address="--all")
    user = find_user(options["user"])
    wanted: uuid.UUID | None = options.get("organization")
    organization = find_organization(user, wanted) if wanted else None
    address = f"--user {shlex.quote(user.email)}" if options["user"] else ""
    return LocalDoor(user, organization=organization, address=address)
