"""What a name that somebody typed may be. Pure: no Django."""

import unicodedata

NAME_MAX_LENGTH = 200

# Control characters, and lone surrogates, which no UTF-8 can hold.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})
# What turns the direction of writing, also of what stands behind the name. Marks, which belong into
# names that are written from right to left, stay.
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def clean_name(text: str) -> str:
    """What `one_line` makes of `text`.

    Raises ValueError, with a sentence for a person, unless 1 to 200 characters are left.
    """
    name = one_line(text)
    if not name:
        raise ValueError("A name needs at least one character.")
    if len(name) > NAME_MAX_LENGTH:
        raise ValueError(f"A name has at most {NAME_MAX_LENGTH} characters; this has {len(name)}.")
    return name


def one_line(text: str) -> str:
    """`text` without control characters and what turns the direction of writing, runs of white
    space made one, trimmed."""
    return " ".join("".join(filter(_is_kept, text)).split())


def _is_kept(letter: str) -> bool:
    if letter in _TURNS:
        return False
    return letter.isspace() or unicodedata.category(letter) not in _REFUSED_CATEGORIES
