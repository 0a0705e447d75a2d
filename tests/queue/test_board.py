"""The board of the queue in the admin."""

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.models import Organization
from tests.batches import submit
from tests.operators import staff, superuser

BOARD = reverse("admin:queue_board_changelist")


@pytest.fixture
def operator(db: None) -> Client:
    return superuser()


def test_it(operator: Client, acme: Organization) -> None:
    submit(acme, "one", "two")
    answer = operator.get(BOARD)
    assert answer.status_code == 200
    print(answer.content.decode())
