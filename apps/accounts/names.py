"""What a name that somebody typed may be. Pure: no Django."""

import unicodedata

NAME_MAX_LENGTH = 200

# Control characters, and lone surrogates, which no UTF-8 can hold.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs"})


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
    """`text` without control characters, runs of white space made one, trimmed."""
    kept = (c for c in text if c.isspace() or unicodedata.category(c) not in _REFUSED_CATEGORIES)
    return " ".join("".join(kept).split())
