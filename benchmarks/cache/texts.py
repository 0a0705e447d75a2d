"""The text of a long PDF over HTTP when it is kept, beside reading it from the PDF.

Which happens once: what was read is stored. Without the cache that is what is read each time.
"""

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from benchmarks.cache.hits import client
from benchmarks.queueing.batches import owner
from benchmarks.rounds import Blocks, calls_of, in_turn, passed
from benchmarks.stage import Stage
from benchmarks.table import Row, Table, spread

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = (
    *("groff", "hafenbericht", "linearized", "marche", "minato", "more", "namal", "rotated"),
    "two-columns",
)
"""PDFs of tests/data whose pages have text."""
SCAN = ROOT / "samples" / "invoice-scan.pdf"
PAGES, QUICK_PAGES = 50, 1
READINGS, QUICK_READINGS = len(WRITTEN), 1
ROUNDS, QUICK_ROUNDS = 20, 2
CALLS = 20
LANES = ("default", "ocr", "heavy")
START_SECONDS = 60.0
AIM = 100


@dataclass(frozen=True)
class Text:
    """Of a file that was read: its address, and how many seconds reading it took each time."""

    path: str
    seconds: list[float]


def measure(stage: Stage, table: Table) -> None:
    """Pages with text; and scans, which are read once, for that takes minutes."""
    pages = stage.size(PAGES, QUICK_PAGES)
    folder = ROOT / "tests" / "data"
    sources = [folder / f"{name}.pdf" for name in WRITTEN]
    # Bytes that were read once are not read again: each time the pages come in another order.
    papers = {
        f"{pages} pages with text": [
            bound(stage, f"written-{first}", [*sources[first:], *sources[:first]], pages)
            for first in range(stage.size(READINGS, QUICK_READINGS))
        ]
    }
    if not stage.quick:
        papers[f"{pages} scanned pages"] = [bound(stage, "scanned", [SCAN], pages)]
        read([bound(stage, "warm", [SCAN, *sources], 3)])  # starts the children, which last
    texts = {name: read(paths) for name, paths in papers.items()}
    key = new_key()
    with (
        serving(stage, ENABLE_CACHING="true") as keeping,
        serving(stage, ENABLE_CACHING="false") as plain,
    ):
        for name, text in texts.items():
            works = {
                "kept": asking(keeping + text.path, key, "HIT"),
                "304": asking(keeping + text.path, key, "HIT", is_known=True),
                "not kept": asking(plain + text.path, key, "BYPASS"),
            }
            blocks = in_turn(works, client(), stage.size(ROUNDS, QUICK_ROUNDS), CALLS)
            tell(table, name, text, blocks)


def tell(table: Table, name: str, text: Text, blocks: Blocks) -> None:
    mine = passed(blocks["kept"])
    taken = [seconds * 1e6 for seconds in text.seconds]
    ratio = median(taken) / median(mine)
    what = f"the text of {name} over HTTP"
    table.add(
        Row(
            f"{what}: as often as it is read from the PDF once",
            f"{spread(calls_of(blocks['kept']))} µs",
            f"reading the PDF: {spread(taken)} µs",
            ratio,
            None,
            f">= {AIM}",
            ratio >= AIM,
        )
    )
    for other, beside in (("not kept", "ENABLE_CACHING=false"), ("304", "an answer of 304")):
        told = (calls_of(blocks["kept"]), calls_of(blocks[other]))
        table.compare(f"{what}: time", mine, beside, passed(blocks[other]), None, told=told)


def bound(stage: Stage, name: str, sources: Sequence[Path], pages: int) -> Path:
    """One PDF of that many pages of these, in turn."""
    import pypdfium2

    book: Any = pypdfium2.PdfDocument.new()
    while len(book) < pages:
        for source in sources:
            with pypdfium2.PdfDocument(source) as paper:
                book.import_pages(paper, list(range(min(len(paper), pages - len(book)))))
    path = stage.scratch / f"{name}.pdf"
    book.save(path)
    return path


def read(paths: Sequence[Path]) -> Text:
    """Each submitted as anybody submits it, one after the other, and worked off here."""
    from apps.jobs import storage
    from apps.jobs.models import FileAttempt
    from apps.jobs.services import Submission, submit_job
    from apps.jobs.upload import receive_paths
    from apps.processors.protocol import Options
    from apps.queue import worker
    from apps.queue.models import Priority

    seconds = []
    for path in paths:
        with storage.incoming() as directory:
            received = list(receive_paths([path], directory))
            submission = Submission("extract", Options(), Priority.NORMAL)
            job = submit_job(actor=owner(), submission=submission, files=received)
        while any(worker.work_off(lane) for lane in LANES):
            pass
        job.refresh_from_db()
        assert job.state == "succeeded", job.state
        spent = [
            (attempt.ended_at - attempt.started_at).total_seconds()
            for attempt in FileAttempt.objects.filter(row__job=job)
            if attempt.ended_at
        ]
        seconds.append(sum(spent))
    return Text(f"/api/batch/files/{job.files.get().pk}/text", seconds)


def new_key() -> str:
    from apps.accounts.services import create_api_key

    actor = owner()
    usual = {"organization": actor.organization, "user": actor.user}
    return create_api_key(name="benchmark", **usual)[1]


@contextmanager
def serving(stage: Stage, **env: str) -> Iterator[str]:
    """The web server as `manage.py up` starts it, with one process; its address."""
    from tests.servers import GENEROUS

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = f"--interface wsgi --host 127.0.0.1 --port {port} --workers 1 --blocking-threads 8"
    command = [sys.executable, "-m", "granian", *options.split(), "config.wsgi:application"]
    with ExitStack() as ending:
        ending.enter_context(stage.program(*command, env={**os.environ, **GENEROUS, **env}))
        url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + START_SECONDS
        while not is_serving(url):
            assert time.monotonic() < until, "the web server did not start"
            time.sleep(0.05)
        yield url


def is_serving(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/live").status_code < HTTPStatus.INTERNAL_SERVER_ERROR
    except httpx.TransportError:
        return False


def asking(url: str, key: str, status: str, *, is_known: bool = False) -> Callable[[str], object]:
    """Asks for it on a connection that stays open; as one who has it already, if it `is_known`."""
    session = httpx.Client(headers={"Authorization": f"Bearer {key}"})
    first = session.get(url)
    assert first.status_code == HTTPStatus.OK, first.text
    assert len(first.text) > 0
    expected = HTTPStatus.OK
    if is_known:
        session.headers["If-None-Match"] = first.headers["ETag"]
        expected = HTTPStatus.NOT_MODIFIED

    def ask(_: str) -> object:
        answer = session.get(url)
        assert answer.status_code == expected, answer.text
        assert answer.headers["X-Cache"] == status, answer.headers
        return answer

    return ask
