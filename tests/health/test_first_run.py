import stat
from pathlib import Path

import pytest
from django.test import override_settings
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.services import create_user, revoke_api_key
from apps.health.first_run import collect_static, ensure_admin, ensure_api_key, lift_batch_limit
from apps.health.screen import Admin
from apps.ratelimits.models import RateLimitRule
from apps.ratelimits.rules import change_rule, remove_rule
from apps.ratelimits.services import check
from apps.ratelimits.subjects import Subject


@pytest.fixture
def admin(db: None) -> Admin:
    made = ensure_admin("root@localhost")
    assert made
    return made


def test_first_admin_can_sign_in_and_administer(admin: Admin) -> None:
    user = User.objects.get()
    assert user.email == admin.email == "root@localhost"
    assert admin.password
    assert user.check_password(admin.password)
    assert user.is_staff
    assert user.is_superuser


def test_second_run_finds_the_admin_and_knows_no_password(admin: Admin) -> None:
    assert ensure_admin("somebody@localhost") == Admin("root@localhost", None)
    assert User.objects.count() == 1


@pytest.mark.django_db
def test_nobody_is_made_where_there_are_users() -> None:
    create_user(email="alice@example.com", password=None)
    assert ensure_admin("root@localhost") is None
    assert User.objects.count() == 1


def test_key_file_is_private_and_its_key_works(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "api_key"
    ensure_api_key(admin, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {path.read_text().strip()}")
    assert client.get("/api/batch/jobs").status_code == 200


def test_working_key_stays(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "api_key"
    ensure_api_key(admin, path)
    before = path.read_text()
    ensure_api_key(admin, path)
    assert path.read_text() == before
    assert ApiKey.objects.count() == 1


def test_revoked_key_is_replaced(admin: Admin, tmp_path: Path) -> None:
    path = tmp_path / "api_key"
    ensure_api_key(admin, path)
    before = path.read_text()
    revoke_api_key(key=ApiKey.objects.get())
    ensure_api_key(admin, path)
    assert path.read_text() != before


def test_static_files_are_collected_once_until_they_change(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "page.css").write_text("a {}" * 100)
    with override_settings(
        STATIC_ROOT=tmp_path / "static",
        STATICFILES_DIRS=[source],
        STATICFILES_FINDERS=["django.contrib.staticfiles.finders.FileSystemFinder"],
    ):
        _forget_finders()
        stamp = tmp_path / "stamp"
        assert collect_static(stamp)
        assert list((tmp_path / "static").glob("page.*.css.gz"))
        assert not collect_static(stamp)
        (source / "page.css").write_text("b {}" * 101)
        assert collect_static(stamp)
    _forget_finders()


def _forget_finders() -> None:
    from django.contrib.staticfiles.finders import get_finder

    get_finder.cache_clear()


def rules() -> list[tuple[str, str, str]]:
    return [(each.target, each.limiter, each.windows) for each in RateLimitRule.objects.all()]


@pytest.mark.django_db(transaction=True)
def test_batches_of_the_first_organization_are_unlimited_by_a_visible_rule(
    admin: Admin, settings: Settings
) -> None:
    settings.LIMIT_BATCH_UPLOAD = "3/h"
    lift_batch_limit(admin)
    assert rules() == [("organization root", "batch-upload", "unlimited")]
    user = User.objects.get()
    personal = Organization.objects.get(personal_of=user)
    me = Subject.user(user.pk), Subject.organization(personal.pk)
    assert all(check("batch-upload", me[0], caller=me).allowed for _ in range(9))
    assert not all(check("batch-upload", Subject.user(user.pk + 1)).allowed for _ in range(9))


def test_a_second_run_makes_no_second_rule(admin: Admin) -> None:
    lift_batch_limit(admin)
    lift_batch_limit(admin)
    assert len(rules()) == 1


def test_a_rule_that_somebody_removed_or_changed_stays_so(admin: Admin) -> None:
    lift_batch_limit(admin)
    rule = RateLimitRule.objects.get()
    change_rule(by=User.objects.get(), rule=rule, windows="5/h")
    lift_batch_limit(admin)
    assert rules() == [("organization root", "batch-upload", "5/hour")]
    remove_rule(by=User.objects.get(), rule=rule)
    lift_batch_limit(admin)
    assert rules() == []
