"""Uploads in parts: what is stored of one stays, in order, and nobody else's."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import add_member, create_user
from apps.jobs import leftovers, storage
from apps.jobs.models import UploadSession
from tests.batches import together
from tests.conftest import ApiFor, ClientFor
from tests.jobs.forms import refusal, stored
from tests.jobs.parts import (
    PART_TYPE,
    UPLOADS,
    add,
    added,
    begin,
    begun,
    named,
    offset_of,
    stored_of,
)

pytestmark = pytest.mark.once
CONTENT = os.urandom(40_000)


# --- the protocol ---------------------------------------------------------------------------------


def test_parts_come_one_after_the_other(alice_api: APIClient, data_dir: Path) -> None:
    answer = begin(alice_api, 40_000, "Bericht für März.txt", **{"Tus-Resumable": "1.0.0"})
    made = answer.json()
    assert (answer.status_code, answer["Upload-Offset"], answer["Tus-Resumable"]) == (
        201,
        "0",
        "1.0.0",
    )
    assert answer["Location"] == made["url"]
    assert (made["name"], made["size_bytes"], made["offset_bytes"]) == (
        "Bericht für März.txt",
        40_000,
        0,
    )
    path = f"{UPLOADS}/{made['id']}"
    assert added(alice_api, path, 0, CONTENT[:7]) == 7
    assert added(alice_api, path, 7, CONTENT[7:30_000]) == 30_000
    assert offset_of(alice_api, path) == 30_000
    assert added(alice_api, path, 30_000, b"") == 30_000
    assert added(alice_api, path, 30_000, CONTENT[30_000:]) == 40_000
    assert stored_of(path) == CONTENT
    assert len(stored(data_dir / "uploads")) == 1
    told = alice_api.get(path)
    assert told.json()["offset_bytes"] == 40_000
    assert (told["Upload-Length"], told["Cache-Control"]) == ("40000", "no-store")
    assert told["Upload-Expires"].endswith("GMT")


def test_the_first_part_may_come_at_once(alice_api: APIClient) -> None:
    headers = {"Upload-Length": "10", "Upload-Metadata": named("a.txt")}
    answer = alice_api.generic("POST", UPLOADS, b"0123", PART_TYPE, headers=headers)
    assert (answer.status_code, answer["Upload-Offset"]) == (201, "4")
    path = f"{UPLOADS}/{answer.json()['id']}"
    assert added(alice_api, path, 4, b"456789") == 10
    assert stored_of(path) == b"0123456789"


def test_what_is_spoken_is_told(alice_api: APIClient) -> None:
    for path in (UPLOADS, begun(alice_api, 5)):
        answer = alice_api.options(path)
        assert answer.status_code == 200
        assert (answer["Tus-Version"], answer["Tus-Max-Size"]) == ("1.0.0", "52428800")
        assert set(answer["Tus-Extension"].split(",")) == {
            "creation",
            "creation-with-upload",
            "expiration",
            "termination",
        }


def test_another_version_is_refused(alice_api: APIClient) -> None:
    answer = begin(alice_api, 5, **{"Tus-Resumable": "0.2.2"})
    refusal(answer, 412, "upload.version")
    assert answer["Tus-Version"] == "1.0.0"
    assert not UploadSession.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_ones_own_are_listed_and_can_be_removed(alice_api: APIClient, data_dir: Path) -> None:
    first, second = begun(alice_api, 5, "1.txt"), begun(alice_api, 5, "2.txt")
    added(alice_api, first, 0, b"abc")
    listed = alice_api.get(UPLOADS).json()["results"]
    assert [(each["name"], each["offset_bytes"]) for each in listed] == [("2.txt", 0), ("1.txt", 3)]
    assert stored(data_dir / "uploads")
    assert alice_api.delete(first).status_code == 204
    refusal(alice_api.delete(first), 404, "request.not_found")
    assert stored(data_dir / "uploads") == []
    assert [each["name"] for each in alice_api.get(UPLOADS).json()["results"]] == ["2.txt"]
    refusal(add(alice_api, first, 3, b"de"), 404, "request.not_found")
    assert offset_of(alice_api, second) == 0


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0, 2, 4, 10])
def test_from_elsewhere_than_where_it_goes_on_nothing_is_taken(
    alice_api: APIClient, offset: int
) -> None:
    path = begun(alice_api, 10)
    added(alice_api, path, 0, b"012")
    answer = add(alice_api, path, offset, b"")
    assert refusal(answer, 409, "upload.offset")["offset"] == 3
    assert answer["Upload-Offset"] == "3"
    assert stored_of(path) == b"012"


def test_more_than_was_said_is_refused(alice_api: APIClient) -> None:
    path = begun(alice_api, 10)
    added(alice_api, path, 0, b"012345")
    refusal(add(alice_api, path, 6, b"67890"), 413, "upload.too_large")
    assert offset_of(alice_api, path) == 6
    assert added(alice_api, path, 6, b"6789") == 10
    refusal(add(alice_api, path, 10, b"x"), 413, "upload.too_large")
    assert stored_of(path) == b"0123456789"


@pytest.mark.parametrize("offset", ["", "-1", "1.0", "٣", "9" * 30])
def test_an_offset_is_a_whole_number(alice_api: APIClient, offset: str) -> None:
    path = begun(alice_api, 10)
    given = {"Upload-Offset": offset.encode().decode("latin-1")}
    answer = alice_api.generic("PATCH", path, b"x", PART_TYPE, headers=given)
    problem = refusal(answer, 400, "request.invalid")
    assert problem["errors"][0]["field"] == "Upload-Offset"


def test_a_part_has_its_own_media_type(alice_api: APIClient) -> None:
    path = begun(alice_api, 10)
    for content_type in ("application/octet-stream", "application/json", "multipart/form-data"):
        answer = add(alice_api, path, 0, b"x", content_type)
        refusal(answer, 415, "request.unsupported_media_type")
    assert offset_of(alice_api, path) == 0


@pytest.mark.parametrize(
    ("size", "status", "code"),
    [
        ("52428801", 413, "upload.too_large"),
        ("", 400, "request.invalid"),
        ("-5", 400, "request.invalid"),
        ("ten", 400, "request.invalid"),
    ],
)
def test_a_size_that_no_file_may_have(
    alice_api: APIClient, size: str, status: int, code: str
) -> None:
    refusal(begin(alice_api, size), status, code)
    assert not UploadSession.objects.exists()


@pytest.mark.parametrize(
    "told",
    [
        "",
        "filename",
        "filename !!!",
        "filetype dGV4dA==",
        named("a/b.txt"),
        named(".."),
        named("a\x00.txt"),
        named(b"\xff.txt"),
        named("n" * 250 + ".txt"),
    ],
)
def test_a_name_that_no_file_may_have(alice_api: APIClient, told: str) -> None:
    answer = begin(alice_api, 5, **{"Upload-Metadata": told})
    problem = refusal(answer, 400, "request.invalid")
    assert problem["errors"][0]["field"] == "Upload-Metadata"
    assert not UploadSession.objects.exists()


def test_clients_that_say_name_are_understood(alice_api: APIClient) -> None:
    told = f"relativePath, type dGV4dA==, {named('b.txt').replace('filename', 'name')}"
    assert begin(alice_api, 5, **{"Upload-Metadata": told}).json()["name"] == "b.txt"


# --- whose it is ----------------------------------------------------------------------------------


def test_it_is_there_for_its_maker_alone(
    alice_api: APIClient,
    charlie_api: APIClient,
    bob_api: APIClient,
    acme: Organization,
    api_for: ApiFor,
) -> None:
    carol = create_user(email="carol@example.com", password=None, name="Carol")
    add_member(organization=acme, user=carol, role=Role.ADMIN)
    path = begun(alice_api, 10)
    for api in (charlie_api, api_for(carol), bob_api):
        for answer in (api.get(path), add(api, path, 0, b"x"), api.delete(path)):
            refusal(answer, 404, "request.not_found")
    assert api_for(carol).get(UPLOADS).json()["results"] == []
    refusal(bob_api.get(UPLOADS), 403, "auth.forbidden")
    refusal(begin(bob_api, 5), 403, "auth.forbidden")
    assert offset_of(alice_api, path) == 0


def test_a_browser_shows_its_token(alice: User, client_for: ClientFor) -> None:
    browser = client_for(alice)
    browser.handler.enforce_csrf_checks = True
    browser.cookies["csrftoken"] = token = "t" * 32
    headers = {"Upload-Length": "4", "Upload-Metadata": named("a.txt")}

    def send(verb: str, path: str, **more: str) -> Any:
        body = b"text" if verb == "PATCH" else b""
        return browser.generic(verb, path, body, PART_TYPE, headers=headers | more)

    assert send("POST", UPLOADS).status_code == 403
    made = send("POST", UPLOADS, **{"X-CSRFToken": token})
    assert made.status_code == 201
    path = f"{UPLOADS}/{made.json()['id']}"
    assert send("PATCH", path, **{"Upload-Offset": "0"}).status_code == 403
    known = {"Upload-Offset": "0", "X-CSRFToken": token}
    assert send("PATCH", path, **known).status_code == 204


# --- how many -------------------------------------------------------------------------------------


def test_a_person_may_have_so_many(
    alice_api: APIClient, charlie_api: APIClient, settings: Settings
) -> None:
    settings.BATCH_MAX_UPLOADS = 2
    paths = [begun(alice_api, 5), begun(alice_api, 5)]
    refusal(begin(alice_api, 5), 409, "upload.too_many")
    begun(charlie_api, 5)
    assert alice_api.delete(paths[0]).status_code == 204
    begun(alice_api, 5)


def test_an_organization_may_have_so_many_bytes(
    alice_api: APIClient, charlie_api: APIClient, settings: Settings
) -> None:
    settings.BATCH_MAX_UPLOAD_BYTES = 100
    begun(alice_api, 60)
    refusal(begin(alice_api, 41), 409, "upload.too_many")
    begun(alice_api, 40)
    begun(charlie_api, 100)


@pytest.mark.django_db(transaction=True)
def test_of_many_begun_at_once_no_more_get_in(
    alice: User, api_for: ApiFor, settings: Settings
) -> None:
    settings.BATCH_MAX_UPLOADS = 3
    apis = [api_for(alice) for _ in range(8)]
    answers = together([lambda api=api: begin(api, 5) for api in apis])
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 5
    assert UploadSession.objects.count() == 3


def test_where_there_is_no_room_nothing_is_begun_or_added(
    alice_api: APIClient, settings: Settings
) -> None:
    path = begun(alice_api, 10)
    added(alice_api, path, 0, b"0123")
    settings.STORAGE_MIN_FREE_BYTES = 10**18
    for answer in (begin(alice_api, 5), add(alice_api, path, 4, b"456789")):
        refusal(answer, 503, "storage.full")
        assert answer["Retry-After"] == "300"
    settings.STORAGE_MIN_FREE_BYTES = 0
    assert added(alice_api, path, 4, b"456789") == 10
    assert stored_of(path) == b"0123456789"


# --- their time -----------------------------------------------------------------------------------


def test_after_its_time_it_is_not_there_and_its_bytes_go(
    alice_api: APIClient, data_dir: Path
) -> None:
    old, new = begun(alice_api, 10), begun(alice_api, 10)
    for path in (old, new):
        added(alice_api, path, 0, b"0123")
        folder = storage.partial_of(UUID(path.rpartition("/")[2]))
        long_ago = folder.stat().st_mtime - storage.STALE_UPLOAD_SECONDS - 60
        os.utime(folder, (long_ago, long_ago))
    assert leftovers.stale_uploads() == []
    mine = UploadSession.objects.filter(pk=old.rpartition("/")[2])
    mine.update(expires_at=Now() - timedelta(seconds=1))
    refusal(alice_api.get(old), 404, "request.not_found")
    refusal(add(alice_api, old, 4, b"456789"), 404, "request.not_found")
    assert len(leftovers.stale_uploads()) == 1
    assert leftovers.remove_stale_uploads() == 1
    assert not mine.exists()
    assert added(alice_api, new, 4, b"456789") == 10
    assert stored_of(new) == b"0123456789"
    assert len(stored(data_dir / "uploads")) == 1


def test_each_part_gives_it_another_day(alice_api: APIClient) -> None:
    path = begun(alice_api, 10)
    begun_at = UploadSession.objects.get()
    assert begun_at.expires_at - begun_at.created_at < timedelta(hours=1, minutes=1)
    added(alice_api, path, 0, b"0")
    after = UploadSession.objects.get()
    assert after.expires_at - after.created_at > timedelta(hours=23, minutes=59)


def test_a_page_of_the_api_offers_to_remove_it(
    alice: User, client_for: ClientFor, alice_api: APIClient
) -> None:
    browser: Client = client_for(alice)
    path = begun(alice_api, 10, "plan.txt")
    for each in (UPLOADS, path):
        page = browser.get(each, headers={"Accept": "text/html"})
        assert page.status_code == 200
        assert "plan.txt" in page.content.decode()
    assert "Remove" in page.content.decode()
