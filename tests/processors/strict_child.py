"""The child as tests start it: the real one, with two additions.

Once it has given up its rights nothing can be imported any more, as where Python lies in a closed
home; so a library that imports on first use is found on every machine. And its lines are counted
when the tests' own are.
"""

import os
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
    become_nobody, answer = sandbox.become_nobody, child._answer

    def drop() -> str:
        save()
        hand_over(coverage_file)
        user = become_nobody()
        sys.meta_path.insert(0, NoMoreImports())
        return user

    def answer_and_save(*arguments: Any) -> None:
        answer(*arguments)
        save()

    sandbox.become_nobody, child._answer = drop, answer_and_save
    child.main()


def hand_over(coverage_file: str) -> None:
    """What was saved as root goes on being written as the user it becomes."""
    if coverage_file and os.geteuid() == 0:
        for saved in Path(coverage_file).parent.glob(f"*.pid{os.getpid()}.*"):
            os.chown(saved, *sandbox.nobody())


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
