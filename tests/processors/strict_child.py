"""The child as tests start it: the real one, with two additions.

Once it has given up its rights nothing can be imported any more, as where Python lies in a closed
home; so a library that imports on first use is found on every machine. And its lines are counted
when the tests' own are.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from apps.processors import child, sandbox

ROOT = Path(__file__).parents[2]


class NoMoreImports(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        raise ImportError(f"{fullname} is imported too late")


def main(coverage_file: str) -> None:
    save = counted(coverage_file) if coverage_file else lambda: None
    become, answer, fence = sandbox.become, child._answer, sandbox.Fence

    def drop(user: int, group: int) -> str:
        became = become(user, group)
        save()  # not before: who made the file goes on writing it
        sys.meta_path.insert(0, NoMoreImports())
        return became

    def answer_and_save(*arguments: Any) -> None:
        answer(*arguments)
        save()

    def with_a_gate(*, readable: list[Any], writable: list[Any]) -> Any:
        gate = [Path(coverage_file).parent] if coverage_file else []
        return fence(readable=readable, writable=[*writable, *gate])

    sandbox.become, child._answer = drop, answer_and_save
    sandbox.Fence = with_a_gate  # type: ignore[assignment,misc]  # called, and nothing else
    child.main()


def counted(coverage_file: str) -> Any:
    """Starts counting; what comes back saves. The file lies where anybody may write."""
    import coverage

    counter = coverage.Coverage(
        data_file=coverage_file,
        data_suffix=True,
        config_file=False,
        branch=True,
        include=[f"{ROOT}/apps/*"],
    )
    counter.start()
    return counter.save
