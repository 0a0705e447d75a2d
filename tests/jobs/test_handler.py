"""How the engine works on a batch file with real processors."""

import pytest

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.models import BatchFile
from apps.queue import worker
from tests.batches import check_books, submit


@pytest.mark.django_db(transaction=True)
def test_a_file_whose_bytes_are_gone_fails_and_the_lane_goes_on(acme: Organization) -> None:
    submit(acme, "one", "two")
    first = BatchFile.objects.get(position=1)
    assert first.content is not None
    storage.path_of(first.content).unlink()
    worker.work_off("default")
    worker.close_slot()
    states = BatchFile.objects.order_by("position").values_list("state", "error_code")
    assert list(states) == [("failed", "document.gone"), ("succeeded", "")]
    check_books()
