"""Browsers of people with a password, which some of the settings ask for."""

import pytest
from django.test import Client

from apps.accounts.models import User
from tests.accounts.people import PASSWORD
from tests.conftest import ClientFor
from tests.web.conftest import data_dir

__all__ = ["data_dir"]


@pytest.fixture
def owner(alice: User) -> User:
    """Alice, with a password."""
    alice.set_password(PASSWORD)
    alice.save()
    return alice


@pytest.fixture
def browser(owner: User, client_for: ClientFor) -> Client:
    """Hers, signed in, in Acme."""
    return client_for(owner)
