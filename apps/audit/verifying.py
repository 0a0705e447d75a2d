"""Proves that nothing was done to the audit log but adding to it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from django.db.models import Max, Min, Model

from apps.audit import checkpoints
from apps.audit.chain import Flaw, Head, Link, Problem, first_flaw
from apps.audit.models import AuditEntry, Chain, Checkpoint, chain_of
from apps.audit.signing import Signed

CHUNK = 1000
"""Entries that are read at a time."""

Outside = Mapping[str, list[Signed]]
"""Checkpoints that were kept elsewhere, by the log that they are of."""


@dataclass(frozen=True)
class Verdict:
    """Of one log: how many entries it has, how many checkpoints speak of it, the newest one's
    time ("" if there is none), and the first bad entry."""

    chain: str
    entries: int
    checkpoints: int
    signed_at: str
    flaw: Flaw | None


def verify(organization: Model | None) -> Flaw | None:
    """The first bad entry in the log of `organization` (None: of the system), or None.

    Reads all of it, a chunk at a time. Entries may be added meanwhile.
    """
    return verdict(chain_of(organization)).flaw


def verify_all() -> Iterator[Flaw]:
    """The first bad entry of each log that has one, those of deleted organizations too."""
    trusted = checkpoints.trusted_keys()
    for name in chain_names():
        if flaw := verdict(name, trusted=trusted).flaw:
            yield flaw


def chain_names(outside: Outside | None = None) -> Iterator[str]:
    """Of every log that is there, or that something speaks of: entries whose chain was taken away
    count, and so does a log that is in a checkpoint alone."""
    spoken_of = set(outside or ())
    names = Chain.objects.values_list("pk").union(
        AuditEntry.objects.values_list("chain_id"), Checkpoint.objects.values_list("chain")
    )
    for (name,) in names.order_by("pk").iterator(CHUNK):
        spoken_of.discard(name)
        yield name
    yield from sorted(spoken_of)


def verdict(
    name: str,
    *,
    trusted: checkpoints.Trusted | None = None,
    outside: Iterable[Signed] = (),
    seen: Callable[[], object] = lambda: None,
) -> Verdict:
    """What is to be said of the log `name`, by the checkpoints in the database and those of
    `outside` that one of the `trusted` keys signed (without: those of this installation). `seen`
    is called for each entry that is read. Raises BadKey."""
    trusted = checkpoints.trusted_keys() if trusted is None else trusted
    # Before the head, which can then be no earlier than they are.
    known = checkpoints.stored(name, trusted)
    known += [checkpoints.known(each, trusted) for each in outside]
    known.sort(key=lambda each: each.number)
    head = _head(name)
    flaw = first_flaw(name, _links(name, up_to=head.number), head, known, seen)
    flaw = flaw or _uncounted(name)
    newest = max((each.at for each in known), default="")
    return Verdict(name, head.number, len(set(known)), newest, flaw and _located(flaw))


def _uncounted(name: str) -> Flaw | None:
    """The first entry past the end, as somebody with SQL would put it there."""
    entries = AuditEntry.objects.filter(chain=name)
    newest = entries.aggregate(number=Max("number"))["number"] or 0
    counted = _head(name).number  # read after the entries, so whatever was added is counted in it
    if newest <= counted:
        return None
    uncounted = entries.filter(number__gt=counted).aggregate(number=Min("number"))["number"]
    return Flaw(name, uncounted, Problem.UNCOUNTED)


def _located(flaw: Flaw) -> Flaw:
    """With what stands at its place, where the walk has not told it."""
    if flaw.entry:
        return flaw
    try:
        entry = AuditEntry.objects.filter(chain=flaw.chain, number=flaw.number).first()
        return replace(flaw, entry=entry.content()) if entry else flaw
    except (AttributeError, TypeError, ValueError):
        return flaw  # it cannot be read: see _links


def _head(name: str) -> Head:
    chain = Chain.objects.filter(pk=name).first()
    return chain.head() if chain else Head()


def _links(name: str, *, up_to: int) -> Iterator[Link]:
    entries = AuditEntry.objects.filter(chain=name, number__lte=up_to).order_by("number")
    number = 0
    try:
        for entry in entries.as_stored().iterator(CHUNK):
            link = entry.link()
            number = link.number
            yield link if entry.is_as_written() else replace(link, hash="")
    except (AttributeError, TypeError, ValueError):
        # SQLite takes any text for a date or an id; Django cannot read such an entry back.
        yield Link(number + 1, {}, "", "")
