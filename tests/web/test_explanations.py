"""The pages of error codes."""

import re

import pytest
from django.test import Client

from apps.web.explanations import explanations

pytestmark = [pytest.mark.once, pytest.mark.django_db]


def test_the_list_has_every_code_with_when_it_is_told() -> None:
    html = Client().get("/errors").content.decode()
    assert re.findall(r'<a href="/errors/([\w.]+)"><code>\1</code>', html) == list(explanations())
    assert '<p class="small">It is protected by a password, and none was given</p>' in html
    assert "`" not in html


def test_the_page_of_a_code_says_what_to_do() -> None:
    html = Client().get("/errors/request.method_not_allowed").content.decode()
    assert "<dt>Status</dt><dd>405</dd>" in html
    assert "<dt>What to do</dt><dd>See <code>Allow</code> in the answer</dd>" in html
    assert Client().get("/errors/request.made_up").status_code == 404
