"""Whether it would pay to keep who may do what, which is asked of the database each time."""

from typing import Any
from uuid import UUID

from benchmarks.cache.hits import client
from benchmarks.queueing.batches import owner
from benchmarks.rounds import calls_of, in_turn, passed
from benchmarks.stage import Stage
from benchmarks.table import Table

ROUNDS, QUICK_ROUNDS = 100, 3
CALLS = 50
OTHERS, QUICK_OTHERS = 1000, 20
"""Members of the same organization."""


def measure(stage: Stage, table: Table) -> None:
    """The role of a member: from the database, and as it could be kept, tagged with both."""
    from apps.accounts.actor import _role_in
    from apps.caching.decorators import cached

    actor = fill(stage.size(OTHERS, QUICK_OTHERS))

    def tags_of(organization_id: UUID, user_id: int) -> list[str]:
        return [f"member:{organization_id}/{user_id}"]

    @cached("metadata", tenant="organization_id", tags=tags_of)
    def role_of(organization_id: UUID, user_id: int) -> str | None:
        assert user_id == actor.user.pk
        assert organization_id == actor.organization.pk
        return _role_in(actor.organization, actor.user)

    works = {
        "kept": lambda _: role_of(actor.organization.pk, actor.user.pk),
        "asked": lambda _: _role_in(actor.organization, actor.user),
    }
    assert works["kept"]("") == works["asked"]("") == "owner"
    blocks = in_turn(works, client(), stage.size(ROUNDS, QUICK_ROUNDS), CALLS)
    kept, asked = blocks["kept"], blocks["asked"]
    told = (calls_of(kept), calls_of(asked))
    query = f"the query for it, {stage.database}"
    what = "a member's role, if it were kept: time"
    table.compare(what, passed(kept), query, passed(asked), None, told=told)


def fill(count: int) -> Any:
    """So many more members of the organization of who is then returned."""
    from apps.accounts.roles import Role
    from apps.accounts.services import add_member, create_user

    actor = owner()
    for number in range(count):
        user = create_user(email=f"member{number}@example.com", password=None)
        add_member(organization=actor.organization, user=user, role=Role.READER)
    return actor
