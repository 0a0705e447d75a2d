"""`manage.py check --deploy`: nothing to say of a production environment, and a word for each thing
that is set as on a laptop."""

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as real
from django.core.checks import run_checks

pytestmark = pytest.mark.once

PRODUCTION = {
    "ALLOWED_HOSTS": "docs.example.com",
    "AUDIT_SIGNING_KEY": b64encode(bytes(range(32))).decode(),
    "EMAIL_URL": "smtp+tls://mill:word@mail.example.com:587",
    "ENVIRONMENT": "production",
    "HTTPS_ONLY": "true",
    "HTTPS_PROXY_HEADER": "X-Forwarded-Proto",
    "PUBLIC_URL": "https://docs.example.com",
    "SECRET_KEY": "qN3vX9rT2wLk7pZb5yGd8sHf4jCm6xVa1eRu0tYo-QiWnEo_PlKjHg",
    "TRUSTED_PROXIES": "10.0.0.0/8",
}
WEAK = {
    "security.W018": {"DEBUG": "true"},
    "security.W009": {"SECRET_KEY": "short"},
    "security.W008": {"HTTPS_ONLY": "false"},
    "core.W001": {"ALLOWED_HOSTS": "*"},
    "core.W002": {"PUBLIC_URL": "http://docs.example.com"},
    "core.W003": {"PUBLIC_URL": "https://localhost"},
    "core.W004": {"PUBLIC_URL": "https://other.example.com"},
    "core.W005": {"TRUSTED_PROXIES": ""},
    "core.W006": {"EMAIL_URL": "consolemail://"},
    "audit.E001": {"AUDIT_SIGNING_KEY": "AAAA"},
}


def checked(tmp_path: Path, **variables: str) -> tuple[int, str]:
    """The exit code and what is said, in an environment of these variables alone."""
    around = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull, "DOCMILL_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=real.BASE_DIR,
        env=around | variables,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_production_environment_has_nothing_to_mend(tmp_path: Path) -> None:
    code, said = checked(tmp_path, **PRODUCTION)
    assert (code, "no issues" in said) == (0, True), said


def test_all_that_is_weak_is_told_at_once(tmp_path: Path) -> None:
    together = {**PRODUCTION}
    for name in ("security.W018", "security.W009", "security.W008", "core.W001", "core.W003"):
        together |= WEAK[name]
    together |= WEAK["core.W005"] | WEAK["core.W006"]
    code, said = checked(tmp_path, **together | {"PUBLIC_URL": "http://localhost:8000"})
    assert code == 1
    told = {name for name in WEAK if name in said}
    assert told == set(WEAK) - {"core.W004", "audit.E001"}


@pytest.mark.parametrize("name", [name for name in WEAK if not name.startswith("security")])
def test_each_of_our_own_by_itself(name: str, settings: Any) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = ["docs.example.com"]
    settings.PUBLIC_URL = PRODUCTION["PUBLIC_URL"]
    settings.TRUSTED_PROXIES = ["10.0.0.0/8"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.AUDIT_SIGNING_KEY = PRODUCTION["AUDIT_SIGNING_KEY"]

    def ours() -> set[str | None]:
        found = run_checks(include_deployment_checks=True)
        return {each.id for each in found if (each.id or "").startswith(("core.", "audit."))}

    assert ours() == set()
    for setting, value in WEAK[name].items():
        if setting == "EMAIL_URL":
            settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
        elif setting in ("ALLOWED_HOSTS", "TRUSTED_PROXIES"):
            setattr(settings, setting, [value] if value else [])
        else:
            setattr(settings, setting, value)
    assert ours() == {name}
