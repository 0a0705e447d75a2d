from pathlib import Path

from apps.health.screen import Admin, ready_screen

URL = "http://127.0.0.1:8000"
KEY = Path("/srv/doc mill/api_key")


def test_first_run_shows_the_password_and_lines_that_can_be_pasted() -> None:
    screen = ready_screen(
        url=URL, admin=Admin("root@localhost", "quiet"), key_file=KEY, file_id="17"
    )
    assert "root@localhost" in screen
    assert "quiet" in screen
    assert "$(cat '/srv/doc mill/api_key')" in screen
    assert f"{URL}/api/batch/files/17/text" in screen


def test_later_runs_show_no_password_and_no_text_that_is_not_there() -> None:
    screen = ready_screen(url=URL, admin=Admin("root@localhost", None), key_file=KEY, file_id=None)
    assert "Password" not in screen
    assert "/text" not in screen


def test_without_an_admin_it_says_how_to_make_one() -> None:
    screen = ready_screen(url=URL, admin=None, key_file=KEY, file_id=None)
    assert "create_admin" in screen
    assert "api_key" not in screen
