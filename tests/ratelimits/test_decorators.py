"""`limited` around views, plain and asynchronous."""

import asyncio
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from django.views.decorators.http import require_safe

from apps.accounts.models import User
from apps.ratelimits.decorators import limited
from apps.ratelimits.errors import TooManyRequests
from config import urls
from tests.conftest import ClientFor

pytestmark = pytest.mark.django_db


@require_safe
@limited("search")
def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("found")


@limited("search")
async def asynchronous(request: HttpRequest) -> HttpResponse:
    return HttpResponse("found")


urlpatterns = [*urls.urlpatterns, path("later", asynchronous)]
handler404 = urls.handler404


def asked() -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    return request


def test_a_plain_view(settings: Any) -> None:
    settings.LIMIT_ANONYMOUS = "2/min"
    assert [plain(asked()).status_code for _ in range(2)] == [200, 200]
    with pytest.raises(TooManyRequests):
        plain(asked())
    assert plain.limiters == ("search",)  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_view(settings: Any) -> None:
    settings.LIMIT_ANONYMOUS = "2/min"

    async def ask() -> list[int]:
        return [(await asynchronous(asked())).status_code for _ in range(2)]

    assert asyncio.run(ask()) == [200, 200]
    with pytest.raises(TooManyRequests):
        asyncio.run(ask())
    assert asynchronous.limiters == ("search",)  # type: ignore[attr-defined]


@pytest.mark.django_db(transaction=True)
def test_an_asynchronous_view_in_a_request(settings: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.LIMIT_ANONYMOUS = "2/min"
    answers = [Client().get("/later") for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert [each["X-RateLimit-Remaining"] for each in answers] == ["1", "0", "0"]
    assert "Try again in" in answers[-1].content.decode()


def test_a_page_says_when_to_come_back(settings: Any, alice: User, client_for: ClientFor) -> None:
    settings.LIMIT_API = "1/min"
    browser = client_for(alice)
    assert browser.get("/jobs").status_code == 200
    answer = browser.get("/jobs")
    page = answer.content.decode()
    assert answer.status_code == 429
    assert "Too many requests" in page
    assert f"Try again in {answer['Retry-After']} s." in page
    assert page.count("Try again") == 1
    assert answer["X-RateLimit-Remaining"] == "0"


def test_what_a_page_asks_for_by_itself_is_live(
    settings: Any, alice: User, client_for: ClientFor
) -> None:
    settings.LIMIT_API, settings.LIMIT_LIVE = "2/min", "3/min"
    browser, other = client_for(alice), client_for(alice)
    polling = {"HX-Request": "true", "HX-Target": "overview"}
    assert browser.get("/").status_code == 200
    answers = [browser.get("/?seen=x", headers=polling) for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert answers[0]["X-RateLimit-Limit"] == "3"
    # Counted for each session; the pages themselves for the person.
    assert other.get("/?seen=x", headers=polling).status_code == 200
    assert other.get("/").status_code == 200
    assert browser.get("/").status_code == 429


def test_who_is_not_signed_in_is_anonymous(settings: Any) -> None:
    settings.LIMIT_ANONYMOUS = "2/min"
    assert [Client().get("/jobs").status_code for _ in range(3)] == [302, 302, 429]
