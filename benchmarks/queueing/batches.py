"""Jobs to measure with, submitted as anybody submits them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

BATCH = 50
EMAIL = "owner@example.com"


def owner() -> Any:
    """An actor with an organization, made when first asked for."""
    from apps.accounts.models import Organization, User
    from apps.accounts.services import create_user
    from tests.batches import owner_of

    if not User.objects.filter(email=EMAIL).exists():
        create_user(email=EMAIL, password=None)
    return owner_of(Organization.objects.get(personal_of__email=EMAIL))


def submit(texts: Iterable[str]) -> Any:
    """One job with a small text file for each of `texts`."""
    from tests import batches

    return batches.submit(owner().organization, *texts)


def submit_many(files: int, text: Callable[[int], str]) -> None:
    """Jobs of 50 until there are so many files; `text` is what file number n says."""
    for first in range(0, files, BATCH):
        submit(text(number) for number in range(first, min(first + BATCH, files)))


def clear() -> None:
    """Forgets all jobs; what they say of themselves must have been right."""
    from apps.jobs.models import BatchJob
    from tests.batches import check_books, check_nothing_runs

    check_books()
    BatchJob.objects.all().delete()
    assert check_nothing_runs  # results are kept by no no-op


def log_of(path: Path) -> str:
    return path.read_text(errors="replace")[-2000:]
