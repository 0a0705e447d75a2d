"""What somebody made in an organization passes on when they leave it."""

from collections.abc import Iterator

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model

from apps.accounts.models import Membership, Organization, OrganizationOwned, User
from apps.accounts.roles import Role

MADE_BY = "created_by"
"""The field of a row that names who made it: whose own it is in the table of roles."""


def made_by_people() -> Iterator[type[Model]]:
    """Every model whose rows are somebody's own in their organization."""
    for model in apps.get_models():
        if issubclass(model, OrganizationOwned):
            try:
                field = model._meta.get_field(MADE_BY)
            except FieldDoesNotExist:
                continue
            if field.related_model is User:
                yield model


def heir_of(membership: Membership) -> User | None:
    """To whom passes what its person made: of the other owners the one who joined first."""
    others = Membership.objects.filter(organization=membership.organization_id, role=Role.OWNER)
    first = others.exclude(pk=membership.pk).select_related("user").order_by("pk").first()
    return first.user if first else None


def pass_on(*, organization: Organization, of: User, to: User) -> dict[str, int]:
    """Makes `to` the owner of all that `of` made in the organization; how many, by what they are.
    In the caller's transaction."""
    passed = {}
    for model in made_by_people():
        rows = model._default_manager.filter(organization=organization, created_by=of)
        # In one order, as everybody locks several.
        locked = rows.select_for_update(of=("self",), no_key=True).order_by("pk")
        if list(locked.values_list("pk")):
            count = rows.update(created_by=to)
            passed[str(model._meta.verbose_name_plural)] = count
    return passed
