"""Looking at the page of one job: its address, its HTML, and what a person reads of it."""

import re
from typing import Any

from django.test import Client

from apps.jobs.models import BatchJob


def url(job: BatchJob, action: str = "") -> str:
    return f"/jobs/{job.pk}" + (f"/{action}" if action else "")


def html_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def shown(browser: Client, job: BatchJob, query: str = "") -> str:
    """The page's HTML."""
    return html_of(browser.get(url(job) + query))


def text_of(html: str) -> str:
    """What a person reads of it."""
    content = re.sub(r"<head>.*?</head>|<header class=.side.>.*?</header>", "", html, flags=re.S)
    return " ".join(re.sub(r"<[^>]+>", " ", content).split())


def state_of(job: BatchJob) -> str:
    job.refresh_from_db()
    return job.state
