"""What Lighthouse says of the sign-in, the list of jobs and a job.

    .venv/bin/python -m benchmarks.lighthouse [--runs 3]

Needs what `make test-browser` installs, a Chromium and Lighthouse (npm install -g lighthouse@12).
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
from pathlib import Path
from typing import Any

from tests.browser import chromium, service
from tests.browser.stage import SAMPLES

CATEGORIES = ("performance", "accessibility", "best-practices")
METRICS = ("largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")
FORMS = {"phone": [], "desktop": ["--preset=desktop"]}
FULL_MARKS = 0.95
COSTS_SHOWN = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1)
    runs = parser.parse_args().runs
    program = shutil.which("lighthouse")
    if program is None:
        sys.exit("There is no lighthouse command: npm install -g lighthouse@12 (it needs node).")
    browser = chromium.executable()
    with service.running() as up:
        pages, headers = prepare(up)
        print(
            f"{'page':8} {'as':8} {'perf':>5} {'a11y':>5} {'best':>5} {'LCP':>8} {'TBT':>8} {'CLS':>6}"
        )
        reports = [
            (name, form, visit(program, browser, f"{up.url}{path}", headers[name], form, runs))
            for name, path in pages.items()
            for form in FORMS
        ]
        up.stop()
    for name, form, report in reports:
        for line in costs(report):
            print(f"{name} {form}: {line}")


def prepare(up: service.Service) -> tuple[dict[str, str], dict[str, str]]:
    """The pages to visit, and with which Cookie header: with samples read, and signed in."""
    api = service.Api(up.client, (up.data / "api_key").read_text().strip())
    names = sorted(path.name for path in SAMPLES.iterdir() if path.suffix != ".md")
    job = api.submit("Samples", {name: (SAMPLES / name).read_bytes() for name in names})
    for number in range(1, 31):
        api.submit(f"Log sheet {number:02}", {f"sheet-{number:02}.txt": f"Sheet {number}."})
    api.wait(job, seconds=120)
    with chromium.browser() as browser:
        page = browser.new_page()
        chromium.sign_in(page, up.url, *up.admin)
        cookies = page.context.cookies()
    cookie = "; ".join(f"{each['name']}={each['value']}" for each in cookies)
    pages = {"sign-in": "/sign-in", "jobs": "/jobs", "job": f"/jobs/{job}"}
    return pages, {"sign-in": "", "jobs": cookie, "job": cookie}


def visit(
    program: str, browser: str, url: str, cookie: str, form: str, runs: int
) -> dict[str, Any]:
    """The report of the middle one of `runs` visits."""
    reports = [visit_once(program, browser, url, cookie, form) for _ in range(runs)]
    reports.sort(key=lambda report: report["categories"]["performance"]["score"])
    report = reports[runs // 2]
    scores = [f"{100 * report['categories'][name]['score']:5.0f}" for name in CATEGORIES]
    metrics = [report["audits"][name]["displayValue"].replace("\u00a0", " ") for name in METRICS]
    page = Path(url).name if "/jobs/" not in url else "job"
    print(f"{page:8} {form:8} {' '.join(scores)} {metrics[0]:>8} {metrics[1]:>8} {metrics[2]:>6}")
    return report


def visit_once(program: str, browser: str, url: str, cookie: str, form: str) -> dict[str, Any]:
    sandbox = " --no-sandbox" if os.geteuid() == 0 else ""
    command = [program, url, "--quiet", "--output=json", *FORMS[form]]
    command += [
        f"--only-categories={','.join(CATEGORIES)}",
        f"--chrome-flags=--headless=new{sandbox}",
    ]
    if cookie:
        command.append(f"--extra-headers={json.dumps({'Cookie': cookie})}")
    environment = os.environ | {"CHROME_PATH": browser}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


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
