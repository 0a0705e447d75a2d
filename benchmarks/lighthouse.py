"""What Lighthouse says of the sign-in, the lists of jobs and of notifications, and a job.

    .venv/bin/python -m benchmarks.lighthouse [--runs 3]

Needs what `make test-browser` installs, a Chromium, and the command `lighthouse` (12 was tried).
Starts a service of its own and visits each page as a phone on a slow line (Lighthouse's default)
and as a desktop, in a browser where an admin has signed in. Of several runs the one with the middle
score for performance is shown. Scores fall where something else keeps the processor busy.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from tests.browser import chromium, service

CATEGORIES = ("performance", "accessibility", "best-practices")
METRICS = ("largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")
FORMS = {"phone": [], "desktop": ["--preset=desktop"]}
FULL_MARKS = 0.95
COSTS_SHOWN = 6
TRIES = 3
"""Now and then the browser starts too late for Lighthouse (NO_NAVSTART), whatever the page."""


@dataclass(frozen=True)
class Visit:
    """A page to look at, with what (`form`)."""

    page: str
    url: str
    form: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    runs = parser.parse_args().runs
    program = shutil.which("lighthouse")
    if program is None:
        sys.exit("There is no command `lighthouse` here: it needs node, version 12 was tried.")
    all_costs = []
    with service.running() as up, open_browser() as port:
        job = submit(up)
        print(f"{'page':13} {'as':8} {'perf':>5} {'a11y':>5} {'best':>5}", end="")
        print(f" {'LCP':>8} {'TBT':>8} {'CLS':>6}")
        for visit in visits(up, job, port):
            report = middle([look(program, port, visit) for _ in range(runs)])
            print(line_of(visit, report), flush=True)
            all_costs += [f"{visit.page} as {visit.form}: {each}" for each in costs(report)]
        up.stop()
    print(*all_costs, sep="\n")


@contextmanager
def open_browser() -> Iterator[int]:
    """The port of a browser with an empty profile. One that Lighthouse started itself could only be
    given a header with the cookie, and streams of events go without it."""
    flags = [*chromium.QUIET, "--headless=new", "--remote-debugging-port=0"]
    flags += ["--no-sandbox"] if os.geteuid() == 0 else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [chromium.executable(), f"--user-data-dir={profile}", *flags, "about:blank"]
        started = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            told = Path(profile) / "DevToolsActivePort"
            service.wait_until(lambda: told.exists() and "\n" in told.read_text())
            yield int(told.read_text().splitlines()[0])
        finally:
            started.terminate()
            started.wait()


def submit(up: service.Service) -> str:
    """The id of a job with the samples, read, after more than a page of others."""
    api = service.Api(up.client, (up.data / "api_key").read_text().strip())
    names = sorted(path.name for path in service.SAMPLES.iterdir() if path.suffix != ".md")
    for number in range(1, 31):
        api.submit(f"Log sheet {number:02}", {f"sheet-{number:02}.txt": f"Sheet {number}."})
    job = api.submit("Samples", {name: (service.SAMPLES / name).read_bytes() for name in names})
    api.wait(job, seconds=120)
    return job


def visits(up: service.Service, job: str, port: int) -> Iterator[Visit]:
    """What to visit: first what strangers see, then what is behind the sign-in."""
    for form in FORMS:
        yield Visit("sign-in", f"{up.url}/sign-in", form)
    sign_in(up, port)
    paths = {"jobs": "/jobs", "job": f"/jobs/{job}", "notifications": "/notifications"}
    for page, path in paths.items():
        for form in FORMS:
            yield Visit(page, f"{up.url}{path}", form)


def sign_in(up: service.Service, port: int) -> None:
    """In the browser's own context: it stays when the connection ends."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        page = browser.contexts[0].new_page()
        chromium.sign_in(page, up.url, *up.admin)
        page.close()


def look(program: str, port: int, visit: Visit) -> dict[str, Any]:
    """Lighthouse's report."""
    command = [program, visit.url, "--quiet", "--output=json", f"--port={port}"]
    command += [*FORMS[visit.form], f"--only-categories={','.join(CATEGORIES)}"]
    complaint = ""
    for _ in range(TRIES):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not done.returncode:
            report: dict[str, Any] = json.loads(done.stdout)
            return report
        complaint = done.stderr
    sys.exit(complaint)


def middle(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The one in the middle by performance."""
    reports.sort(key=lambda report: report["categories"]["performance"]["score"])
    return reports[len(reports) // 2]


def line_of(visit: Visit, report: dict[str, Any]) -> str:
    scores = [f"{100 * report['categories'][name]['score']:5.0f}" for name in CATEGORIES]
    lcp, tbt, cls = (
        report["audits"][name]["displayValue"].replace("\u00a0", " ") for name in METRICS
    )
    return f"{visit.page:13} {visit.form:8} {' '.join(scores)} {lcp:>8} {tbt:>8} {cls:>6}"


def costs(report: dict[str, Any]) -> Iterator[str]:
    """What costs points, worst first."""
    found = []
    for name in CATEGORIES:
        for reference in report["categories"][name]["auditRefs"]:
            audit = report["audits"][reference["id"]]
            score = audit.get("score")
            if reference["weight"] and score is not None and score < FULL_MARKS:
                told = f"{name}: {audit['title']} ({audit.get('displayValue', 'no')})"
                found.append((reference["weight"] * (1 - score), told))
    for _, told in sorted(found, reverse=True)[:COSTS_SHOWN]:
        yield told


if __name__ == "__main__":
    main()
