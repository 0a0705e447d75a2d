"""What it costs to read a PDF here rather than with the bare library.

    .venv/bin/python benchmarks/extract.py [--database postgres] [--files 20] [--runs 3]

Makes PDFs of 500 and more pages, some 400 words a page (once; they are kept in the temporary
directory). Each run reads all of them with pypdfium2 in a plain loop, and as a job: submitted,
claimed by one slot, read in its child process, stored and settled, in a database of its own.
Prints the best of the runs, for what disturbs a machine only adds, and what a slot needs.
"""

import argparse
import logging
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from job_lists import scratch_database

WORDS = (
    "the of and a to in is was that for it as with his on be at by had not are from have this "
    "which or an they were their been has one would there more when who will said if can about "
    "after other into harbour keeper evening letter water across between winter morning paper "
    "account second office merchant several against nothing together without themselves surveyed"
)
MARGIN, TOP, LEADING, LINES, WORDS_A_LINE = 56, 790, 17, 42, (8, 11)
FIRST_PAGES, MORE_PAGES = 500, 10
SMALL_RUNS, SMALL_FILES = 30, 40
OWNER = "owner@example.com"
PLAIN = "apps.processors.pdf.PdfProcessor"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--runs", type=int, default=3)
    chosen = parser.parse_args()
    files = [pdf(FIRST_PAGES + MORE_PAGES * number) for number in range(chosen.files)]
    with scratch_database(chosen.database):
        import django
        from django.core.management import call_command

        django.setup()
        logging.disable(logging.WARNING)  # of jobs that end, and of the broker that is away
        call_command("migrate", verbosity=0)
        print(f"`.venv/bin/python {' '.join(sys.argv)}`\n")
        throughput(files, chosen.runs)
        print()
        slot(pdf(1), pdf(600))


def pdf(pages: int) -> Path:
    """A PDF of that many pages, always the same, made when it is first asked for."""
    from reportlab.pdfgen.canvas import Canvas

    folder = Path(tempfile.gettempdir()) / "docmill-benchmark-pdfs"
    folder.mkdir(exist_ok=True)
    path = folder / f"{pages}.pdf"
    if not path.exists():
        chance = random.Random(pages)
        unfinished = path.with_suffix(".part")
        canvas = Canvas(str(unfinished), invariant=1)
        for _ in range(pages):
            page = canvas.beginText(MARGIN, TOP)
            page.setFont("Times-Roman", 12, LEADING)
            for _ in range(LINES):
                words = chance.choices(WORDS.split(), k=chance.randint(*WORDS_A_LINE))
                page.textLine(" ".join(words).capitalize() + ".")
            canvas.drawText(page)
            canvas.showPage()
        canvas.save()
        unfinished.rename(path)
    return path


def throughput(files: list[Path], runs: int) -> None:
    """Prints pages a second of the bare library and of jobs, with and without the language."""
    from django.conf import settings
    from django.test import override_settings

    from apps.queue import worker

    pages = sum(int(path.stem) for path in files)
    seconds: dict[str, list[float]] = {}
    readers = {
        "job, language told": settings.PROCESSORS,
        "job, language not told": ["without_language.WithoutLanguage", *settings.PROCESSORS],
    }
    for _ in range(runs):
        seconds.setdefault("pypdfium2 in a loop", []).append(timed(lambda: bare(files)))
        for name, processors in readers.items():
            with override_settings(PROCESSORS=processors):
                job([pdf(1)])  # starts the child, which lasts for all that follow
                seconds.setdefault(name, []).append(timed(lambda: job(files)))
                worker.close_slot()
    alone = min(seconds["pypdfium2 in a loop"])
    print(f"{len(files)} PDFs, {pages} pages, best of {runs} runs:\n")
    print(
        f"| {'read by':<24} | pages/s | of the library |\n|{'-' * 26}|--------:|---------------:|"
    )
    for name, spent in seconds.items():
        print(f"| {name:<24} | {pages / min(spent):>7.0f} | {alone / min(spent):>14.2f} |")


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def bare(files: list[Path]) -> int:
    """Reads all text with nothing around it; how many characters there are."""
    import pypdfium2

    characters = 0
    for path in files:
        document = pypdfium2.PdfDocument(path)
        for page in document:
            text = page.get_textpage()
            characters += len(text.get_text_bounded())
            text.close()
            page.close()
        document.close()
    return characters


def job(files: list[Path]) -> Any:
    """Submits the files as one job and works it off in this thread."""
    from apps.jobs import storage
    from apps.jobs.services import Submission, submit_job
    from apps.jobs.upload import receive_paths
    from apps.processors.protocol import Options
    from apps.queue import worker
    from apps.queue.models import Priority

    submission = Submission("extract", Options(), Priority.NORMAL)
    with storage.incoming() as directory:
        received = list(receive_paths(files, directory))
        submitted = submit_job(actor=somebody(), submission=submission, files=received)
    while worker.work_off("default"):
        pass
    submitted.refresh_from_db()
    assert submitted.state == "succeeded", submitted.state
    return submitted


def somebody() -> Any:
    """An actor with an organization, made when first asked for."""
    from apps.accounts.models import Membership, User
    from apps.accounts.services import create_user

    if not User.objects.filter(email=OWNER).exists():
        create_user(email=OWNER, password=None)
    from tests.batches import owner_of

    return owner_of(Membership.objects.get(user__email=OWNER).organization)


def slot(small: Path, long: Path) -> None:
    """Prints what one slot costs: time for a small file, memory, and CPU time for a long one."""
    from apps.processors.child import memory
    from apps.processors.host import ProcessorHost

    host = ProcessorHost()
    read(host, small)
    spent = statistics.median(timed(lambda: read(host, small)) for _ in range(SMALL_RUNS))
    alone = statistics.median(timed(lambda: bare([small])) for _ in range(SMALL_RUNS))
    job([small])  # starts that slot's child
    whole = timed(lambda: job([small] * SMALL_FILES)) / SMALL_FILES
    assert host.pid is not None
    warm = memory("VmRSS", host.pid)
    outcome = read(host, long)
    host.close()
    print("| of one slot | |\n|-------------|-|")
    print(f"| a PDF of one page, in the warm child | {spent * 1000:.1f} ms |")
    print(f"| the same by pypdfium2 alone | {alone * 1000:.1f} ms |")
    print(f"| the same as one of {SMALL_FILES} in a job | {whole * 1000:.0f} ms |")
    print(f"| memory of the warm child | {warm / 1e6:.0f} MB |")
    print(f"| its peak with a PDF of {long.stem} pages | {outcome.peak_rss_bytes / 1e6:.0f} MB |")
    print(f"| CPU time of these pages | {outcome.cpu_seconds:.2f} s |")


def read(host: Any, path: Path) -> Any:
    from apps.processors.host import Budget
    from apps.processors.protocol import Options

    return host.run(
        processor=PLAIN,
        source=path,
        name=path.name,
        kind="pdf",
        options=Options(),
        owner="a",
        budget=Budget(seconds=600, silence_seconds=60, memory_bytes=1536 * 1024 * 1024),
        on_progress=nothing,
        should_stop=bool,  # False, always
    )


def nothing(done: int, total: int, note: str) -> None:
    pass


if __name__ == "__main__":
    main()
