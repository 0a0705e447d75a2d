"""Fails when fewer than 90 % of the lines or of the branches ran, and says which files lack most.

Usage: python .ci/coverage_gate.py REPORT, with REPORT as `coverage json` writes it.
"""

import json
import sys
from pathlib import Path

REQUIRED_PERCENT = 90
SHOWN = 10


def main() -> int:
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    totals = report["totals"]
    measured = {
        "lines": totals["percent_statements_covered"],
        "branches": totals["percent_branches_covered"],
    }
    missing = {
        name: file["summary"]["missing_lines"] + file["summary"]["missing_branches"]
        for name, file in report["files"].items()
    }
    for name in sorted(missing, key=missing.__getitem__, reverse=True)[:SHOWN]:
        if missing[name]:
            summary = report["files"][name]["summary"]
            print(f"{summary['percent_covered']:6.1f} %  {missing[name]:4} missing  {name}")
    for what, percent in measured.items():
        print(f"coverage of {what}: {percent:.1f} % ({REQUIRED_PERCENT} % required)")
    return int(min(measured.values()) < REQUIRED_PERCENT)


if __name__ == "__main__":
    sys.exit(main())
