import pytest

from apps.accounts.names import clean_name

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Acme", "Acme"),
        ("  Acme \t and\nSons ", "Acme and Sons"),
        ("A\x00c\x1bme\x7f", "Acme"),
        ("Zoë 東京 🗂", "Zoë 東京 🗂"),
        ("half \ud83d pair", "half pair"),
        ("\u202eemcA\u2066 \u2069(admin)\u202c", "emcA (admin)"),
        ("\u200f\u05e9\u05dc\u05d5\u05dd", "\u200f\u05e9\u05dc\u05d5\u05dd"),
        ("x" * 200, "x" * 200),
        (" " + "x" * 200 + " ", "x" * 200),
    ],
)
def test_what_is_kept_of_a_name(typed: str, kept: str) -> None:
    assert clean_name(typed) == kept


@pytest.mark.parametrize(
    "typed", ["", "   ", "\t\n", "\x00\x01", "\x00 \x00", "\u202e\u2069", "x" * 201]
)
def test_names_that_are_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="character"):
        clean_name(typed)
