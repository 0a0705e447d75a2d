"""What Lighthouse says of the sign-in, the list of jobs and a job.

    .venv/bin/python -m benchmarks.lighthouse [--runs 3]

Needs what `make test-browser` installs, a Chromium, and the command `lighthouse` (12 was tried).
Starts a service of its own and visits each page as a phone on a slow line (Lighthouse's default)
and as a desktop. Of several runs the one with the middle score for performance is shown.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
    """A page to look at, by whom (`cookie`) and with what (`form`)."""

    page: str
    url: str
    cookie: str
    form: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    runs = parser.parse_args().runs
    program = shutil.which("lighthouse")
    if program is None:
        sys.exit("There is no command `lighthouse` here: it needs node, version 12 was tried.")
    browser = chromium.executable()
    all_costs = []
    with service.running() as up:
        visits = prepare(up)
        print(f"{'page':8} {'as':8} {'perf':>5} {'a11y':>5} {'best':>5}", end="")
        print(f" {'LCP':>8} {'TBT':>8} {'CLS':>6}")
        for visit in visits:
            report = middle([look(program, browser, visit) for _ in range(runs)])
            print(line_of(visit, report), flush=True)
            all_costs += [f"{visit.page} as {visit.form}: {each}" for each in costs(report)]
        up.stop()
    print(*all_costs, sep="\n")


def prepare(up: service.Service) -> list[Visit]:
    """What to visit, with the samples read and more than a page of jobs."""
    api = service.Api(up.client, (up.data / "api_key").read_text().strip())
    names = sorted(path.name for path in service.SAMPLES.iterdir() if path.suffix != ".md")
    for number in range(1, 31):
        api.submit(f"Log sheet {number:02}", {f"sheet-{number:02}.txt": f"Sheet {number}."})
    job = api.submit("Samples", {name: (service.SAMPLES / name).read_bytes() for name in names})
    api.wait(job, seconds=120)
    with chromium.browser() as browser:
        page = browser.new_page()
        chromium.sign_in(page, up.url, *up.admin)
        cookies = page.context.cookies()
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in cookies)
    paths = {
        "sign-in": ("/sign-in", ""),
        "jobs": ("/jobs", cookie),
        "job": (f"/jobs/{job}", cookie),
    }
    return [
        Visit(name, f"{up.url}{path}", whose, form)
        for name, (path, whose) in paths.items()
        for form in FORMS
    ]


def look(program: str, browser: str, visit: Visit) -> dict[str, Any]:
    """Lighthouse's report."""
    flags = "--headless=new --no-sandbox" if os.geteuid() == 0 else "--headless=new"
    command = [program, visit.url, "--quiet", "--output=json", *FORMS[visit.form]]
    command += [f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={flags}"]
    if visit.cookie:
        command.append(f"--extra-headers={json.dumps({'Cookie': visit.cookie})}")
    environment = os.environ | {"CHROME_PATH": browser}
    for _ in range(TRIES):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if not done.returncode:
            report: dict[str, Any] = json.loads(done.stdout)
            return report
    sys.exit(done.stderr)


def middle(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """The one in the middle by performance."""
    reports.sort(key=lambda report: report["categories"]["performance"]["score"])
    return reports[len(reports) // 2]


def line_of(visit: Visit, report: dict[str, Any]) -> str:
    scores = [f"{100 * report['categories'][name]['score']:5.0f}" for name in CATEGORIES]
    lcp, tbt, cls = (
        report["audits"][name]["displayValue"].replace("\u00a0", " ") for name in METRICS
    )
    return f"{visit.page:8} {visit.form:8} {' '.join(scores)} {lcp:>8} {tbt:>8} {cls:>6}"


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
