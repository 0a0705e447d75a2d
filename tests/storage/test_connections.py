"""A bucket that is slow holds up who waits for it, and nobody else."""

import threading
from contextlib import closing
from pathlib import Path

import pytest

from apps.accounts.models import Organization, User
from apps.accounts.services import create_api_key
from tests.jobs.forms import FORM_TYPE, UPLOAD, body_of, part
from tests.jobs.serving import Web
from tests.processes import eventually
from tests.storage.bucket import Server

pytestmark = [pytest.mark.postgres, pytest.mark.django_db(transaction=True)]


def submitted(web: Web) -> int:
    """Its status. By its key it is looked up whether it was sent before."""
    more = {"Content_Type": FORM_TYPE, "Idempotency_Key": "once-and-no-more"}
    return web.ask("POST", UPLOAD, body_of([part()]), **more)[0]


def test_an_upload_that_waits_for_the_bucket_holds_no_connection(
    server: Server, acme: Organization, alice: User, tmp_path: Path
) -> None:
    data, answers = tmp_path / "data", list[int]()
    env = {
        "STORAGE_URL": server.url,
        "DB_MAX_CONNECTIONS": "1",
        "DB_CONNECTION_TIMEOUT": "1500",
    }
    with closing(Web(log=tmp_path / "web.log", data_dir=data, env=env)) as web:
        web.key = create_api_key(organization=acme, user=alice, name="web")[1]
        web.wait_until_ready()
        server.freeze()
        try:
            upload = threading.Thread(target=lambda: answers.append(submitted(web)))
            upload.start()
            eventually(lambda: bool(list(data.glob("incoming/*/*"))))
            for _ in range(3):
                assert web.ask("GET", "/api/batch/jobs")[0] == 200
            assert not answers
        finally:
            server.thaw()
        upload.join(60)
    assert answers == [202]
