"""Where a chain is broken, without a database."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.audit.chain import GENESIS, Flaw, Head, Link, Problem, canonical, digest, first_flaw


def chain(length: int) -> tuple[list[Link], Head]:
    links: list[Link] = []
    previous = GENESIS
    for number in range(1, length + 1):
        content = {"number": number, "action": "job.cancel"}
        links.append(Link(number, content, previous, digest(content, previous)))
        previous = links[-1].hash
    return links, Head(length, previous)


def flaw(number: int, problem: Problem) -> Flaw:
    return Flaw("system", number, problem)


def test_a_chain_that_was_only_added_to_has_no_flaw() -> None:
    for length in range(4):
        assert first_flaw("system", *chain(length)) is None


def test_the_hash_is_known_by_its_rule() -> None:
    """What a program of somebody else's has to do: SHA-256 of this text."""
    text = '{"a":"\\u00e9","b":1,"previous":"00"}'
    assert canonical({"previous": "00", "b": 1, "a": "\u00e9"}) == text
    known = "31b1257145d5e3fd9a382b12c1ed88f8d8abac8f5cbc709f2666e12b9842fad4"
    assert digest({"b": 1, "a": "\u00e9"}, "00") == known


def test_a_changed_entry_is_named() -> None:
    links, head = chain(5)
    for place, link in enumerate(links):
        for changed in (replace(link, content={**link.content, "x": 1}), replace(link, hash="0")):
            tampered = [*links[:place], changed, *links[place + 1 :]]
            assert first_flaw("system", tampered, head) == flaw(place + 1, Problem.CHANGED)


def test_an_entry_that_was_replaced_with_its_hash_is_named() -> None:
    links, head = chain(5)
    for place, link in enumerate(links):
        content = {**link.content, "action": "nothing"}
        forged = replace(link, content=content, hash=digest(content, link.previous))
        tampered = [*links[:place], forged, *links[place + 1 :]]
        assert first_flaw("system", tampered, head) == flaw(place + 1, Problem.REPLACED)


def test_a_first_entry_that_follows_something_is_named() -> None:
    link = Link(1, {}, "f" * 64, digest({}, "f" * 64))
    assert first_flaw("system", [link], Head(1, link.hash)) == flaw(1, Problem.REPLACED)


@pytest.mark.parametrize("missing", [1, 3, 5])
def test_a_missing_entry_is_named(missing: int) -> None:
    links, head = chain(5)
    rest = [link for link in links if link.number != missing]
    assert first_flaw("system", rest, head) == flaw(missing, Problem.MISSING)


def test_the_first_of_two_bad_ones_is_named() -> None:
    links, head = chain(5)
    tampered = [replace(link, hash="0") if link.number == 2 else link for link in links[:4]]
    assert first_flaw("system", tampered, head) == flaw(2, Problem.CHANGED)


@given(st.permutations(range(5)))
def test_any_other_order_is_seen(order: list[int]) -> None:
    """Whoever changes the order gives each entry the number of its new place."""
    links, head = chain(5)
    tampered = [replace(links[old], number=new) for new, old in enumerate(order, start=1)]
    contents = [replace(link, content={**link.content, "number": link.number}) for link in tampered]
    moved = [place for place, old in enumerate(order, start=1) if old != place - 1]
    expected = flaw(moved[0], Problem.REORDERED) if moved else None
    assert first_flaw("system", contents, head) == expected


def test_a_flaw_says_itself() -> None:
    assert str(flaw(3, Problem.MISSING)) == "Entry 3 of the audit log system is missing."


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical({"share": float("nan")})
