"""Secrets that are stored: who opens them, and who does not."""

import pytest
from pytest_django import Settings

from apps.core.sealing import Unsealable, seal, unseal, without

pytestmark = pytest.mark.once

SECRET = "correct horse, Größe 7"


def test_what_is_sealed_shows_nothing_and_opens_for_its_purpose() -> None:
    sealed = seal(SECRET, purpose="a test")
    assert SECRET not in sealed
    assert sealed != seal(SECRET, purpose="a test")
    assert unseal(sealed, purpose="a test") == SECRET


def test_for_another_purpose_it_stays_shut() -> None:
    with pytest.raises(Unsealable):
        unseal(seal(SECRET, purpose="a test"), purpose="another")


@pytest.mark.parametrize("damaged", ["", "gibberish", seal(SECRET, purpose="a test")[:-4] + "AAAA"])
def test_what_is_damaged_stays_shut(damaged: str) -> None:
    with pytest.raises(Unsealable):
        unseal(damaged, purpose="a test")


def test_an_old_key_opens_while_it_is_among_the_fallbacks(settings: Settings) -> None:
    old, sealed = settings.SECRET_KEY, seal(SECRET, purpose="a test")
    settings.SECRET_KEY = "a new key that is long enough for anybody"
    with pytest.raises(Unsealable):
        unseal(sealed, purpose="a test")
    settings.SECRET_KEY_FALLBACKS = [old]
    assert unseal(sealed, purpose="a test") == SECRET
    fresh = seal(SECRET, purpose="a test")
    settings.SECRET_KEY_FALLBACKS = []
    assert unseal(fresh, purpose="a test") == SECRET  # sealed with the new one


@pytest.mark.parametrize(
    ("secret", "text", "told"),
    [
        ("", "nothing to hide", "nothing to hide"),
        ("sesame", "open sesame, sesame!", "open ***, ***!"),
        ("a\\b", "opened with a\\b", "opened with ***"),
        ("a\\b", f"cannot open with {'a' + chr(92) + 'b'!r}", "cannot open with '***'"),
        ("a\nb", f"in {'a' + chr(10) + 'b'!r}", "in '***'"),
    ],
)
def test_a_secret_is_hidden_however_it_is_quoted(secret: str, text: str, told: str) -> None:
    assert without(secret, text) == told
