"""That tests notice a statement that is repeated for each row."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path
from zeal.errors import NPlusOneError

from apps.accounts.models import Membership, User


def one_by_one(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(", ".join(each.user.email for each in Membership.objects.order_by("pk")))


def at_once(_request: HttpRequest) -> HttpResponse:
    found = Membership.objects.select_related("user").order_by("pk")
    return HttpResponse(", ".join(each.user.email for each in found))


urlpatterns = [path("one-by-one", one_by_one), path("at-once", at_once)]


@pytest.mark.once
@override_settings(ROOT_URLCONF="tests.core.test_repeats")
def test_a_statement_for_each_row_is_refused(bob: User) -> None:
    with pytest.raises(NPlusOneError, match=r"accounts.Membership.user at .*test_repeats.py"):
        Client().get("/one-by-one")
    assert "bob@example.com" in Client().get("/at-once").content.decode()
