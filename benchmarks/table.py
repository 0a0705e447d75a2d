"""What was measured, beside what, where, and whether it is as good as it is to be."""

import json
import os
import platform
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.stage import markdown


@dataclass(frozen=True)
class Row:
    """`ratio` is the median of the rounds, and `ratio_p95` their 95th percentile; None of one that
    has no rounds. `met` says whether `ratio`, or what else `aim` is about, is as it is to be."""

    measured: str
    here: str
    beside: str
    ratio: float
    ratio_p95: float | None = None
    aim: str = ""
    met: bool | None = None

    def cells(self) -> tuple[str, ...]:
        ratio = f"{self.ratio:.2f}" if self.ratio >= 0.1 else f"{self.ratio:.2g}"
        if self.ratio_p95 is not None:
            ratio += f", {self.ratio_p95:.2f}"
        aim = self.aim + (": missed" if self.met is False else "")
        return (self.measured, self.here, self.beside, ratio, aim)


HEAD = ("measured", "here: median, p95", "beside", "ratio: median, p95", "aim")


class Table:
    """Grows a row at a time, and says each at once on stderr. `module` is what was run, and
    `packages` those whose versions matter to it."""

    def __init__(self, module: str, packages: Sequence[str]) -> None:
        self.module = module
        self.rows: list[Row] = []
        self.about = about(packages)

    def add(self, row: Row) -> None:
        self.rows.append(row)
        print(" | ".join(row.cells()), file=sys.stderr, flush=True)

    def compare(
        self,
        what: str,
        here: Sequence[float],
        name: str,
        beside: Sequence[float],
        aim: float | None,
        *,
        told: tuple[Sequence[float], Sequence[float]] | None = None,
    ) -> None:
        """Microseconds `here` and `beside`, one of each round: how they compare in each. `told` are
        those to show, where there are more."""
        ratios = [mine / theirs for mine, theirs in zip(here, beside, strict=True)]
        ratio = statistics.median(ratios)
        shown, others = told or (here, beside)
        self.add(
            Row(
                what,
                f"{spread(shown)} µs",
                f"{name}: {spread(others)} µs",
                ratio,
                p95(ratios),
                "" if aim is None else f"<= {aim}",
                None if aim is None else ratio <= aim,
            )
        )

    def as_json(self) -> str:
        return json.dumps(
            {"about": self.about, "rows": [asdict(row) for row in self.rows]}, indent=1
        )

    def as_text(self, arguments: Sequence[str]) -> str:
        command = " ".join((f".venv/bin/python -m {self.module}", *arguments))
        machine = ", ".join(f"{name} {value}" for name, value in self.about.items())
        return f"`{command}`\n\n{machine}\n\n" + markdown(HEAD, [row.cells() for row in self.rows])


def about(packages: Sequence[str]) -> dict[str, Any]:
    """The machine, how busy it is as it begins, and the versions."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    models = [line for line in lines if line.startswith("model name")]
    return {
        "machine": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: _version(name) for name in packages},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def p95(numbers: Sequence[float]) -> float:
    """Their 95th percentile, one of them."""
    ordered = sorted(numbers)
    return ordered[min(round(0.95 * len(ordered)), len(ordered) - 1)]


def spread(numbers: Sequence[float]) -> str:
    """Median and 95th percentile."""
    return f"{statistics.median(numbers):.0f}, {p95(numbers):.0f}"
