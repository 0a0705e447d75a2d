"""Reads documents as a worker would, and says whether anything happened that may not."""

import json
import tempfile
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings

from apps.processors.errors import BadDocument, ChildCrashed, OutOfResources, ProcessorBug
from apps.processors.host import Budget, ProcessorHost
from apps.processors.kinds import identify
from apps.processors.protocol import Options
from apps.processors.registry import processor_path_for

SECONDS = 30.0
GRACE_SECONDS = 5.0
BUDGET = Budget(seconds=SECONDS, silence_seconds=SECONDS, memory_bytes=1024**3)
ALLOWED = frozenset({"read", "refused", "resources", "crash"})
"""`crash` is the child's own, which is there to be lost, and `resources` a limit of ours that held.
Every one of them is kept and told all the same."""


@dataclass(frozen=True)
class Verdict:
    """`outcome` is one of ALLOWED, or bug, unmapped, hang; `report` says more where it is bad."""

    outcome: str
    code: str = ""
    kind: str = ""
    seconds: float = 0.0
    report: str = ""


class Judge:
    """Holds one child, as a worker's slot does."""

    def __init__(self) -> None:
        self._host = ProcessorHost(settings.PROCESSORS)
        self._scratch = tempfile.TemporaryDirectory()
        self._source = Path(self._scratch.name) / "document"
        self._found = Path(self._scratch.name) / "found"
        self._found.mkdir()

    def judge(self, name: str, content: bytes, *, ocr: str = "auto") -> Verdict:
        """What becomes of one document called `name`."""
        self._source.write_bytes(content)
        started = time.monotonic()
        kind = ""
        try:
            with self._source.open("rb") as stream:
                kind = identify(name, stream).name
            self._read(name, kind, ocr)
        except BadDocument as refusal:
            verdict = Verdict("refused", refusal.code, kind)
        except Exception as error:  # noqa: BLE001 (finding every other class is what this is for)
            verdict = _unexpected(error, kind)
        else:
            verdict = Verdict("read", "", kind)
        seconds = time.monotonic() - started
        if seconds > SECONDS + GRACE_SECONDS:
            verdict = Verdict("hang", verdict.code, kind, report=f"took {seconds:.1f} s")
        return replace(verdict, seconds=seconds)

    def close(self) -> None:
        self._host.close()
        self._scratch.cleanup()

    def _read(self, name: str, kind: str, ocr: str) -> None:
        outcome = self._host.run(
            processor=processor_path_for("extract", kind),
            source=self._source,
            name=name,
            kind=kind,
            options=Options(ocr=ocr),
            owner="fuzz",
            budget=BUDGET,
            on_progress=lambda done, total, note: None,
            should_stop=lambda: False,
            members_to=self._found,
        )
        for found in self._found.iterdir():
            found.unlink()
        stored = json.dumps(outcome.extraction.to_json(), ensure_ascii=False)
        stored.encode()  # raises for half of a surrogate pair
        if "\\u0000" in stored:
            raise ValueError("NUL in the result")


def _unexpected(error: Exception, kind: str) -> Verdict:
    if isinstance(error, OutOfResources):
        return Verdict("resources", error.code, kind, report=str(error))
    if isinstance(error, ChildCrashed):
        return Verdict("crash", error.code, kind, report=f"{error}\n{error.stderr}")
    if isinstance(error, ProcessorBug):
        return Verdict("bug", error.code, kind, report=error.traceback)
    return Verdict("unmapped", type(error).__name__, kind, report=traceback.format_exc())
