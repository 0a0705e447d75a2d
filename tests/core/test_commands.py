"""What a command of ours looks at before it does anything, and what it leaves to `check`."""

import subprocess
import sys

import pytest
from django.conf import settings
from django.core.checks.registry import registry
from django.core.management import get_commands, load_command_class

from apps.core.checks import SETTINGS

pytestmark = pytest.mark.once

UNCHECKED = {"doctor", "health", "restore", "verify_audit", "verify_deployment"}
"""They are for where something is wrong, or for another installation."""
OF_THE_CODE = {"check_work_kinds", "processors_are_usable"}


def ours() -> dict[str, str]:
    return {name: app for name, app in get_commands().items() if app.startswith("apps.")}


def test_commands_check_what_is_set() -> None:
    checked = {
        name
        for name, app in ours().items()
        if SETTINGS in load_command_class(app, name).requires_system_checks
    }
    assert checked == set(ours()) - UNCHECKED


def test_all_checks_of_ours_but_those_of_the_code_are_made_then() -> None:
    left = {
        each.__name__
        for each in registry.registered_checks
        if each.__module__.startswith("apps.") and SETTINGS not in each.tags
    }
    assert left == OF_THE_CODE


def test_what_starts_loads_no_page() -> None:
    told = (
        "import sys, django\n"
        "from django.core.checks import run_checks\n"
        "django.setup()\n"
        "run_checks(tags=['settings'])\n"
        "pages = {'config.urls', 'apps.jobs.admin', 'rest_framework.views', 'PIL', 'httpx'}\n"
        "print(pages & set(sys.modules))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", told],
        cwd=settings.BASE_DIR,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stdout.strip() == "set()"
