"""The pages of webhooks: what is on them, what their forms do, and who may open them."""

import re
import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.actor import Actor
from apps.accounts.models import Membership, Organization, User
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.services import MAX_ENDPOINTS, add_endpoint, secrets_of
from tests.conftest import ClientFor
from tests.journeys.routes import WEBHOOK_PAGES
from tests.webhooks.conftest import Work
from tests.webhooks.messages import tell
from tests.webhooks.receiver import Receiver

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

LIST = "/settings/webhooks"
URL = "https://example.com/hook"


@pytest.fixture
def browser(alice: User, client_for: ClientFor) -> Client:
    return client_for(alice)


def html_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.content
    return str(answer.content.decode())


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def pages(endpoint: Any, delivery: Any) -> list[tuple[str, str]]:
    names = {"<uuid:endpoint_id>": str(endpoint), "<uuid:delivery_id>": str(delivery)}
    found = []
    for route, verbs in WEBHOOK_PAGES.items():
        path = f"/{route}"
        for name, value in names.items():
            path = path.replace(name, value)
        found += [(path, verb) for verb in verbs]
    return found


def test_from_nothing_to_a_webhook_and_back(browser: Client, acme: Organization) -> None:
    assert "No webhooks yet" in html_of(browser.get(LIST))
    form = html_of(browser.get(f"{LIST}/new"))
    assert form.count(" checked") == 4  # how a job can end
    answer = browser.post(
        f"{LIST}/new",
        {"url": URL, "name": "<b>Books</b>", "events": ["batch_job.failed"]},
        follow=True,
    )
    endpoint = Endpoint.objects.get()
    one = f"{LIST}/{endpoint.pk}"
    assert answer.redirect_chain == [(one, 302)]
    html = html_of(answer)
    assert "&lt;b&gt;Books&lt;/b&gt;" in html
    assert "Nothing was sent yet" in html
    assert "whsec_" not in html
    assert secrets_of(endpoint)[0] in html_of(browser.post(f"{one}/secret"))
    assert "&lt;b&gt;Books&lt;/b&gt;" in html_of(browser.get(LIST))
    edited = {"url": f"{URL}/2", "name": "", "events": ["batch_job.partial", "batch_job.failed"]}
    assert said(browser.post(f"{one}/edit", edited, follow=True)) == ["Saved."]
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.name, len(endpoint.events)) == (f"{URL}/2", "", 2)
    before = endpoint.sealed_secret
    browser.post(f"{one}/rotate")
    assert "The old secret is good until" in html_of(browser.get(one))
    endpoint.refresh_from_db()
    assert endpoint.sealed_previous == before
    assert "Delete this webhook?" in html_of(browser.get(f"{one}/delete"))
    assert Endpoint.objects.exists()
    assert said(browser.post(f"{one}/delete", follow=True)) == [f"Deleted: {URL}/2."]
    assert not Endpoint.objects.exists()


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"url": "http://10.0.0.1/", "events": ["batch_job.failed"]}, "no public network"),
        ({"url": "", "events": ["batch_job.failed"]}, "must begin with https://"),
        ({"url": URL}, "Choose at least one event."),
        ({"url": URL, "events": ["batch_job.failed"], "name": "x" * 201}, "at most 200"),
    ],
)
def test_a_form_says_what_is_wrong_and_keeps_the_rest(
    browser: Client, endpoint: Endpoint, fields: dict[str, Any], problem: str
) -> None:
    for path in (f"{LIST}/new", f"{LIST}/{endpoint.pk}/edit"):
        answer = browser.post(path, fields)
        html = answer.content.decode()
        assert answer.status_code == 400
        assert problem in html
        assert f'value="{fields["url"]}"' in html
        assert re.findall(r'value="(batch_job.failed)" checked', html) == fields.get("events", [])
    assert Endpoint.objects.count() == 1


def test_testing_and_the_log(
    browser: Client, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    one = f"{LIST}/{endpoint.pk}"
    receiver.answers = [(500, {}), 204]
    assert "A test is on its way" in said(browser.post(f"{one}/test", follow=True))[0]
    work()
    html = html_of(browser.get(one))
    assert "It answered 500." in html
    assert "It does not take messages since" in html
    delivery = Delivery.objects.get()
    message = f"{LIST}/deliveries/{delivery.pk}"
    assert f'href="{message}"' in html
    assert "Try now" in html_of(browser.get(message))
    Endpoint.objects.update(rests_until=None)
    browser.post(f"{message}/redeliver")
    work()
    html = html_of(browser.get(message))
    for text in ("It answered 500.", "Answered 204", "Send again", "&quot;webhook.test&quot;"):
        assert text in html
    browser.post(f"{message}/redeliver")
    work()
    assert len(receiver.sent) == 3


def test_what_an_answer_says_is_only_shown(
    browser: Client, endpoint: Endpoint, receiver: Receiver, work: Work
) -> None:
    def answer(handler: Any) -> None:
        evil = b"<script>alert(1)</script>\x00\xff"
        handler.wfile.write(b"HTTP/1.0 500 x\r\nContent-Length: %d\r\n\r\n" % len(evil) + evil)

    receiver.answers = [answer]
    browser.post(f"{LIST}/{endpoint.pk}/test")
    work()
    html = html_of(browser.get(f"{LIST}/deliveries/{Delivery.objects.get().pk}"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html


def test_disabling_and_enabling(browser: Client, endpoint: Endpoint, acme: Organization) -> None:
    delivery = tell(acme)
    one = f"{LIST}/{endpoint.pk}"
    browser.post(f"{one}/disable")
    html = html_of(browser.get(one))
    assert "somebody disabled it" in html
    assert f"{one}/test" not in html
    assert said(browser.post(f"{one}/test", follow=True)) == [
        "The endpoint is disabled. Enable it first."
    ]
    again = browser.post(f"{LIST}/deliveries/{delivery.pk}/redeliver", follow=True)
    assert said(again) == ["The endpoint is disabled. Enable it first."]
    browser.post(f"{one}/enable")
    endpoint.refresh_from_db()
    assert endpoint.is_enabled


def test_the_log_has_pages(browser: Client, endpoint: Endpoint, acme: Organization) -> None:
    for number in range(27):
        tell(acme, str(number))
    one = f"{LIST}/{endpoint.pk}"
    first = html_of(browser.get(one))
    assert first.count('href="/settings/webhooks/deliveries/') == 25
    [older] = re.findall(r'rel="next" href="([^"]+)"', first)
    second = html_of(browser.get(older.replace("&amp;", "&")))
    assert second.count('href="/settings/webhooks/deliveries/') == 2
    assert 'rel="prev"' in second
    assert browser.get(f"{one}?cursor=nonsense")["Location"] == one


def test_an_eleventh_is_not_offered_and_not_taken(
    browser: Client, owner: Actor, acme: Organization
) -> None:
    for number in range(MAX_ENDPOINTS):
        add_endpoint(actor=owner, url=f"{URL}/{number}", events=["batch_job.failed"])
    html = html_of(browser.get(LIST))
    assert f"{LIST}/new" not in html
    assert "which is the most" in html
    fields = {"url": URL, "events": ["batch_job.failed"]}
    answer = browser.post(f"{LIST}/new", fields, follow=True)
    assert said(answer) == ["There are 10 already. Delete one first."]


def test_each_of_them_is_marked_in_the_settings(
    browser: Client, endpoint: Endpoint, acme: Organization
) -> None:
    delivery = tell(acme)
    for path, verb in pages(endpoint.pk, delivery.pk):
        if verb == "GET":
            html = html_of(browser.get(path))
            marked = re.findall(r'<a href="([^"]+)" aria-current="page"', html)
            assert marked == ["/settings/profile", LIST], path  # in the menu, and among the tabs


def test_who_may_open_them(
    acme: Organization, endpoint: Endpoint, bob: User, charlie: User, client_for: ClientFor
) -> None:
    delivery = tell(acme)
    before = list(Endpoint.objects.values()), list(Delivery.objects.values())
    for path, verb in pages(endpoint.pk, delivery.pk):
        signed_out = Client().generic(verb, path)
        assert signed_out.status_code == 302, path
        assert signed_out["Location"].startswith("/sign-in?next=/")
    for role in ("reader", "contributor"):
        Membership.objects.filter(user=bob).update(role=role)
        for path, verb in pages(endpoint.pk, delivery.pk):
            assert client_for(bob).generic(verb, path).status_code == 403, (path, role)
        assert LIST not in html_of(client_for(bob).get("/"))
    stranger = client_for(charlie)
    nowhere = pages(uuid.uuid4(), uuid.uuid4())
    known = {"X-Request-ID": "the-one-id"}
    for (path, verb), (other, _) in zip(pages(endpoint.pk, delivery.pk), nowhere, strict=True):
        if "-" not in path:
            continue  # their own list, and a form for one of their own
        there = stranger.generic(verb, path, headers=known)
        assert there.status_code == 404, path
        assert there.content == stranger.generic(verb, other, headers=known).content
    assert str(endpoint.pk) not in html_of(stranger.get(LIST))
    assert before == (list(Endpoint.objects.values()), list(Delivery.objects.values()))


def test_while_they_are_off(
    browser: Client, endpoint: Endpoint, acme: Organization, settings: Settings
) -> None:
    delivery = tell(acme)
    assert LIST in html_of(browser.get("/settings/profile"))
    settings.ENABLE_WEBHOOKS = False
    assert LIST not in html_of(browser.get("/settings/profile"))
    for path, verb in pages(endpoint.pk, delivery.pk):
        answer = browser.generic(verb, path)
        assert answer.status_code == 503
        assert "switched off on this installation" in answer.content.decode()
    assert Endpoint.objects.get().is_enabled
