"""Containers through a real child: what was read, and the bytes of what was inside."""

from pathlib import Path

from apps.processors.host import ProcessorHost
from apps.processors.protocol import Extraction, Options
from apps.processors.registry import processor_path_for
from tests.processors.conftest import BUDGET


class Opened:
    def __init__(self, extraction: Extraction) -> None:
        self.extraction = extraction
        self.members = extraction.members
        self.names = [member.name for member in self.members]
        self.codes = {member.name: member.code for member in self.members if member.code}
        self.contents = {
            member.name: Path(member.path).read_bytes() for member in self.members if member.path
        }


class Opener:
    """`host` for many containers."""

    def __init__(self, host: ProcessorHost, folder: Path) -> None:
        self._host = host
        self._folder = folder
        self._count = 0
        self.progress: list[tuple[int, int, str]] = []

    def __call__(self, kind: str, content: bytes, **options: object) -> Opened:
        """Raises what `ProcessorHost.run` does. What it reported is in `progress`."""
        self._count += 1
        self.progress = []
        source = self._folder / f"{self._count}.{kind}"
        source.write_bytes(content)
        into = self._folder / f"{self._count}-members"
        into.mkdir()
        outcome = self._host.run(
            processor=processor_path_for("extract", kind),
            source=source,
            name=source.name,
            kind=kind,
            options=Options.parse(options),
            owner="a",
            budget=BUDGET,
            on_progress=lambda *progress: self.progress.append(progress),
            should_stop=lambda: False,
            members_to=into,
        )
        return Opened(outcome.extraction)
