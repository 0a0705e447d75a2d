"""What leaves for Sentry, in whatever way it came about."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import BASE_DIR

CODE = """
import json, sentry_sdk
from wsgiref.util import setup_testing_defaults
from config.wsgi import application

sent = []
sentry_sdk.get_client().transport.capture_envelope = lambda envelope: sent.extend(
    item.payload.json for item in envelope.items
)
for path in ("/reset/Mg/abc-mistyped-token-of-a-mail/x", "/health/live"):
    environ = {"PATH_INFO": path, "HTTP_HOST": "localhost"}
    setup_testing_defaults(environ)
    answer = application(environ, lambda *_: None)
    list(answer)
    answer.close()
print("TOLD", json.dumps(sent))
"""


@pytest.mark.once
def test_an_address_that_leads_nowhere_is_no_name_of_a_trace(tmp_path: Path) -> None:
    """A process of its own: settings start what sends."""
    env = {
        **os.environ,
        "DOCMILL_DATA_DIR": str(tmp_path),
        "SENTRY_DSN": "http://key@127.0.0.1:9/1",
        "SENTRY_TRACES_SAMPLE_RATE": "1",
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=BASE_DIR,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    told = done.stdout.partition("TOLD ")[2]
    assert '"/health/live"' in told
    assert '"(nowhere)"' in told
    assert "mistyped" not in told
