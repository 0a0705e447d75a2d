"""`make fuzz MINUTES=10`: damaged documents of every kind through the real child.

Every mutant must be refused or read: what may not happen is an error that is not mapped, a crash
of anything but the child, a result that cannot be stored, or a child that runs past its limits.
What does such a thing is written to a folder with its report, to be kept in
tests/data/regressions once it is understood.
"""

import argparse
import hashlib
import multiprocessing
import os
import queue
import random
import sys
import tempfile
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.fuzz.mutations import mutated

if TYPE_CHECKING:
    from tests.fuzz.judging import Verdict

ROOT = Path(__file__).parents[2]
SEEDS = (ROOT / "samples", ROOT / "tests" / "data")
NOT_SEEDS = frozenset({".py", ".toml", ".md"})
MAX_SEED_BYTES = 300_000
OCR_SHARE = 0.05
"""Of the mutants OCR may look at: it takes a hundred times as long as all the rest."""


@dataclass
class Tally:
    """What became of the mutants of one process, or of all."""

    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    findings: list[str] = field(default_factory=list)

    def take(self, verdict: "Verdict") -> None:
        self.outcomes[verdict.outcome] += 1
        self.kinds[verdict.kind or "not identified"] += 1
        self.codes[verdict.code or "none"] += 1
        self.slowest = max(self.slowest, verdict.seconds)

    def add(self, other: "Tally") -> None:
        self.outcomes += other.outcomes
        self.codes += other.codes
        self.kinds += other.kinds
        self.slowest = max(self.slowest, other.slowest)
        self.findings += other.findings


def seeds() -> dict[str, bytes]:
    """Whole documents by name; small ones only, for speed finds more than size does."""
    paths = [path for folder in SEEDS for path in sorted(folder.rglob("*")) if path.is_file()]
    return {
        str(path.relative_to(ROOT)): path.read_bytes()
        for path in paths
        if path.suffix not in NOT_SEEDS and 0 < path.stat().st_size <= MAX_SEED_BYTES
    }


def mutants(files: dict[str, bytes], seed: str) -> Iterator[tuple[str, str, bytes]]:
    """(origin, name, content) without end; the same for the same `seed` and files."""
    dice = random.Random(seed)
    names = sorted(files)
    by_suffix: dict[str, list[bytes]] = {}
    for name in names:
        by_suffix.setdefault(Path(name).suffix.lower(), []).append(files[name])
    for number in range(sys.maxsize):
        origin = dice.choice(names)
        suffix = Path(origin).suffix.lower()
        content = mutated(files[origin], f"{seed}:{number}", by_suffix[suffix])
        yield origin, f"mutant{suffix}", content


def ocr_for(content: bytes) -> str:
    """auto or never; decided by the content, so that a finding can be seen again."""
    return "auto" if zlib.crc32(content) % 1000 < OCR_SHARE * 1000 else "never"


def work(number: int, options: argparse.Namespace, results: "multiprocessing.Queue[Tally]") -> None:
    """Reads mutants until the time is over or this process's share of them is done."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from tests.fuzz.judging import Judge

    tally, judge = Tally(), Judge()
    deadline = time.monotonic() + options.minutes * 60
    share = -(-options.files // options.jobs) if options.files else sys.maxsize
    source = mutants(seeds(), f"{options.seed}:{number}")
    for done, (origin, name, content) in enumerate(source):
        if done >= share or time.monotonic() > deadline:
            break
        verdict = judge.judge(name, content, ocr=ocr_for(content))
        tally.take(verdict)
        if verdict.report:
            tally.findings.append(_keep(options.out, verdict, origin, content))
        if done % 500 == 499:
            print(f"  process {number}: {done + 1} files, {dict(tally.outcomes)}", flush=True)
    judge.close()
    results.put(tally)


def _keep(folder: Path, verdict: "Verdict", origin: str, content: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{verdict.outcome}-{hashlib.sha256(content).hexdigest()[:12]}"
    path = folder / f"{stem}{Path(origin).suffix.lower()}"
    path.write_bytes(content)
    told = f"{verdict.outcome} {verdict.code} ({verdict.kind}), made from {origin}"
    path.with_name(f"{path.name}.report").write_text(f"{told}\n{verdict.report}")
    return f"{told}: {path}"


def main() -> int:
    """0 when nothing was found, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--files", type=int, default=0, help="stop after so many; 0: by time only")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument("--seed", default=time.strftime("%Y-%m-%d %H:%M:%S"))
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir(), "docmill-fuzz"))
    options = parser.parse_args()
    print(f"seed {options.seed!r}, {len(seeds())} documents to damage, {options.jobs} processes")
    started = time.monotonic()
    total, lost = _run(options)
    return told(total, lost, time.monotonic() - started)


def _run(options: argparse.Namespace) -> tuple[Tally, int]:
    """The sum of what was seen, and how many processes died without a word."""
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.Queue[Tally] = context.Queue()
    processes = [
        context.Process(target=work, args=(number, options, results))
        for number in range(options.jobs)
    ]
    for process in processes:
        process.start()
    total, reported = Tally(), 0
    while reported < len(processes):
        try:
            total.add(results.get(timeout=1))
            reported += 1
        except queue.Empty:
            if not any(process.is_alive() for process in processes) and results.empty():
                break
    for process in processes:
        process.join(10)
    return total, len(processes) - reported


def told(total: Tally, lost: int, seconds: float) -> int:
    """Prints what was seen; 1 when anything happened that may not, else 0."""
    from tests.fuzz.judging import ALLOWED

    files = sum(total.outcomes.values())
    print(f"\n{files} files in {seconds:.0f} s, the slowest took {total.slowest:.1f} s")
    for title, counted in (
        ("outcome", total.outcomes),
        ("code", total.codes),
        ("kind", total.kinds),
    ):
        print(f"by {title}: " + ", ".join(f"{name} {n}" for name, n in counted.most_common()))
    for finding in total.findings:
        print(finding)
    if lost:
        print(f"{lost} reading processes died: something outside the child was hurt")
    bad = sum(n for name, n in total.outcomes.items() if name not in ALLOWED)
    print("FAILED" if bad or lost else "passed: no error unmapped, nothing but children hurt")
    return 1 if bad or lost else 0


if __name__ == "__main__":
    sys.exit(main())
