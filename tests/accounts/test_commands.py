import json
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.utils import timezone

from apps.accounts.models import ApiKey, Organization, User
from apps.accounts.services import digest_of

PASSWORD = "seven quiet otters"


def run(*arguments: str) -> tuple[str, str]:
    """What a command writes to standard output and to standard error."""
    out, err = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def run_json(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json")[0])


def test_an_admin_with_a_generated_password_can_sign_in(db: None) -> None:
    answer = run_json("create_admin", "--email", "Root@example.com", "--generate")

    user = authenticate(username="root@example.com", password=answer["password"])
    assert isinstance(user, User)
    assert (user.is_staff, user.is_superuser) == (True, True)
    assert user.personal_organization.memberships.get().user == user


def test_a_read_only_operator_is_staff_without_more(db: None) -> None:
    run_json("create_admin", "--email", "oncall@example.com", "--generate", "--read-only")

    user = User.objects.get(email="oncall@example.com")
    assert (user.is_staff, user.is_superuser) == (True, False)
    assert user.has_perm("jobs.view_batchjob")
    assert user.has_module_perms("jobs")
    for more in ("jobs.change_batchjob", "jobs.delete_batchjob", "accounts.add_user"):
        assert not user.has_perm(more)
    User.objects.update(is_staff=False)
    assert not User.objects.get(email="oncall@example.com").has_perm("jobs.view_batchjob")


def test_a_generated_password_is_printed_for_people_too(db: None) -> None:
    out, _ = run("create_admin", "--email", "root@example.com", "--generate")

    password = out.split()[-1]
    assert authenticate(username="root@example.com", password=password) is not None


def test_a_given_password_is_not_printed(db: None) -> None:
    out, err = run("create_admin", "--email", "root@example.com", "--password", PASSWORD)

    assert authenticate(username="root@example.com", password=PASSWORD) is not None
    assert PASSWORD not in out + err


def test_a_second_admin_of_the_same_address_is_refused(alice: User) -> None:
    with pytest.raises(CommandError, match="Somebody else uses") as refused:
        run("create_admin", "--email", "Alice@example.com", "--generate")

    assert refused.value.returncode == 1
    assert not User.objects.filter(is_superuser=True).exists()


def test_a_weak_password_is_refused_with_the_reason(db: None) -> None:
    with pytest.raises(CommandError, match="too short"):
        run("create_admin", "--email", "root@example.com", "--password", "short")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(["--generate"], "--email"), (["--email", "root@example.com"], "--generate")],
)
def test_nobody_is_asked_where_nobody_sits(
    db: None, monkeypatch: pytest.MonkeyPatch, arguments: list[str], option: str
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())

    with pytest.raises(CommandError, match=option):
        run("create_admin", *arguments)


def test_the_token_stands_alone_on_standard_output(alice: User) -> None:
    out, err = run("create_api_key", "--user", "Alice@example.com")

    token = out.removesuffix("\n")
    key = ApiKey.objects.get(digest=digest_of(token.encode()))
    assert (key.user, key.organization) == (alice, alice.personal_organization)
    assert token not in err
    assert key.prefix in err


def test_a_key_as_it_is_asked_for(alice: User, acme: Organization) -> None:
    answer = run_json(
        "create_api_key",
        *("--user", "alice@example.com", "--organization", str(acme.pk), "--name", "ci"),
        *("--role", "contributor", "--expires-days", "30"),
    )

    key = ApiKey.objects.get()
    assert key.expires_at is not None
    assert round((key.expires_at - timezone.now()).total_seconds() / 86400) == 30
    assert digest_of(answer.pop("token").encode()) == key.digest
    assert answer == {
        "id": str(key.pk),
        "prefix": key.prefix,
        "name": "ci",
        "user": "alice@example.com",
        "organization_id": str(acme.pk),
        "role": "contributor",
        "expires_at": key.expires_at.isoformat(),
    }


def test_no_key_without_a_user_or_for_somebody_elses_organization(
    alice: User, other: Organization
) -> None:
    with pytest.raises(CommandError, match="no user"):
        run("create_api_key", "--user", "nobody@example.com")
    with pytest.raises(CommandError, match="not a member"):
        run("create_api_key", "--user", "alice@example.com", "--organization", str(other.pk))

    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        ["--expires-days", "0"],
        ["--expires-days", "-1"],
        ["--expires-days", "many"],
        ["--expires-days", "3651"],
        ["--role", "king"],
        ["--organization", "Acme"],
        ["--name", " "],
    ],
)
def test_options_out_of_bounds(alice: User, wrong: list[str]) -> None:
    with pytest.raises(CommandError):
        run("create_api_key", "--user", "alice@example.com", *wrong)

    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("command", ["create_admin", "create_api_key"])
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        call_command(command, "--help")

    assert f"manage.py {command} --" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("missing", "named"),
    [(["--generate"], "--email"), (["--email", "root@example.com"], "--generate or --password")],
)
def test_without_a_terminal_nothing_is_asked_but_the_option_is_named(
    db: None, monkeypatch: pytest.MonkeyPatch, missing: list[str], named: str
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO())
    with pytest.raises(CommandError, match=named):
        run("create_admin", *missing)
    assert not User.objects.exists()


class Terminal(StringIO):
    """Somebody who types these lines."""

    def isatty(self) -> bool:
        return True


def type_passwords(monkeypatch: pytest.MonkeyPatch, *passwords: str) -> None:
    typed = iter(passwords)
    monkeypatch.setattr("sys.stdin", Terminal("root@example.com\n"))
    monkeypatch.setattr("getpass.getpass", lambda prompt: next(typed))


def test_a_person_is_asked_for_address_and_password(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    type_passwords(monkeypatch, PASSWORD, PASSWORD)
    assert run_json("create_admin") == {"email": "root@example.com"}
    assert authenticate(username="root@example.com", password=PASSWORD) is not None


def test_two_different_passwords_make_nobody(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    type_passwords(monkeypatch, PASSWORD, PASSWORD + "!")
    with pytest.raises(CommandError, match="differ"):
        run("create_admin")
    assert not User.objects.exists()
