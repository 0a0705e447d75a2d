"""How the engine works on a batch file with real processors."""

import pytest
from pytest_django import Settings

from apps.accounts.models import Organization
from apps.jobs import storage
from apps.jobs.checks import languages_are_installed
from apps.jobs.models import BatchFile
from apps.jobs.results import extraction
from apps.processors.protocol import Options
from apps.queue import worker
from tests.batches import check_books, submit
from tests.jobs.containers import submit_files


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


@pytest.mark.django_db(transaction=True)
def test_languages_are_those_asked_for_or_those_of_this_installation(
    acme: Organization, settings: Settings
) -> None:
    settings.PROCESSORS = ["tests.jobs.telling.TellingProcessor"]
    settings.OCR_LANGUAGES = ["deu", "eng"]
    submit_files(acme, {"all.txt": b"as set"})
    submit_files(acme, {"one.txt": b"as asked"}, options=Options(languages=("eng",)))
    worker.work_off("default")
    worker.close_slot()
    files = BatchFile.objects.order_by("id").select_related("result__content")
    assert [extraction(file.result)["text"] for file in files] == ["deu, eng", "eng"]


@pytest.mark.once
@pytest.mark.parametrize(
    ("chosen", "told"),
    [
        (["eng", "deu"], []),
        ([], ["OCR_LANGUAGES: it takes 1 to 5 languages."]),
        (["eng", "tlh"], ["OCR_LANGUAGES: there is no model for tlh."]),
    ],
)
def test_languages_that_are_set_must_be_there(
    settings: Settings, chosen: list[str], told: list[str]
) -> None:
    settings.OCR_LANGUAGES = chosen
    assert [error.msg for error in languages_are_installed()] == told
