import pytest
from django.conf import settings
from django.test import Client, override_settings

MIDDLEWARE = "apps.health.middleware.HealthMiddleware"
FIRST = [MIDDLEWARE, *(name for name in settings.MIDDLEWARE if name != MIDDLEWARE)]

pytestmark = [pytest.mark.once, pytest.mark.django_db]


@pytest.mark.parametrize("path", ["/health", "/api/health"])
def test_answers_whatever_name_it_is_called_by_and_without_https(path: str) -> None:
    with override_settings(MIDDLEWARE=FIRST, SECURE_SSL_REDIRECT=True):
        answer = Client().get(path, headers={"host": "10.1.2.3:8000"})
    assert answer.status_code == 200
    assert answer.json()["checks"]["database"]["status"] == "connected"


def test_lets_everything_else_through() -> None:
    with override_settings(MIDDLEWARE=FIRST):
        assert Client().get("/healthy").status_code == 404
