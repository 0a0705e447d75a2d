"""A setting that is known to lose work stops the start."""

import pytest
from django.core.checks import run_checks
from pytest_django import Settings

from apps.queue.checks import check_celery

BAD_SETTINGS = {
    "CELERY_BROKER_CONNECTION_MAX_RETRIES": 100,
    "CELERY_WORKER_PREFETCH_MULTIPLIER": 4,
    "CELERY_TASK_REJECT_ON_WORKER_LOST": True,
    "CELERY_WORKER_ENABLE_REMOTE_CONTROL": True,
    "CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS": True,
    "CELERY_TASK_PUBLISH_RETRY": True,
    "CELERY_RESULT_BACKEND": "redis://",
    "CELERY_ACCEPT_CONTENT": ["json", "pickle"],
}
BAD_TRANSPORT_OPTIONS = {
    "ack_emulation": True,
    "socket_timeout": None,
    "socket_connect_timeout": 0,
    "health_check_interval": None,
}


def ids_and_texts() -> list[tuple[str, str]]:
    return [(str(error.id), str(error.msg)) for error in check_celery()]


def test_the_settings_as_they_are_pass() -> None:
    assert check_celery() == []


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS.items(), ids=BAD_SETTINGS)
def test_a_setting_of_celery_that_loses_work(settings: Settings, name: str, value: object) -> None:
    setattr(settings, name, value)
    [(code, text)] = ids_and_texts()
    assert code == "queue.E001"
    assert name in text
    assert "queue.E001" in {error.id for error in run_checks()}


@pytest.mark.parametrize(
    ("name", "value"), BAD_TRANSPORT_OPTIONS.items(), ids=BAD_TRANSPORT_OPTIONS
)
def test_a_transport_option_that_wedges_a_worker(
    settings: Settings, name: str, value: object
) -> None:
    good = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = good | {name: value}
    [(code, text)] = ids_and_texts()
    assert (code, name in text) == ("queue.E002", True)


def test_a_missing_transport_option(settings: Settings) -> None:
    settings.CELERY_BROKER_TRANSPORT_OPTIONS = {}
    assert [code for code, _ in ids_and_texts()] == ["queue.E002"] * 4


@pytest.mark.parametrize(("renew", "is_refused"), [(10, False), (10.1, True)])
def test_a_lease_that_one_late_renewal_would_lose(
    settings: Settings, renew: float, is_refused: bool
) -> None:
    settings.LEASE_SECONDS, settings.LEASE_RENEW_SECONDS = 30, renew
    assert ("queue.E003" in dict(ids_and_texts())) == is_refused
