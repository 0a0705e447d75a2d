"""What apps keep for organizations and people, so that it can be taken away and handed out by the
code that knows how: `settings.BELONGINGS` names a class for each app that keeps something."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import Model
from django.utils.module_loading import import_string

from apps.accounts.models import Organization, User

Row = Mapping[str, Any]


class Belongings:
    """`models` are those of its tables that keep an organization from being deleted."""

    models: ClassVar[tuple[type[Model], ...]] = ()

    def hindrance(self, organization: Organization) -> str:
        """Why the organization cannot go just now, in a sentence that says what to do; "" if it
        can."""
        return ""

    def remove(self, organization: Organization) -> None:
        """Removes what there is of a closed organization, whose members are gone, in transactions
        of its own. What cannot go yet stays for the next time."""
        raise NotImplementedError

    def of_person(self, user: User) -> Iterator[tuple[str, Iterator[Row]]]:
        """What is kept of a person, for them to take along: names of lists, and their rows, which
        JSON can tell."""
        yield from ()


def belongings() -> list[Belongings]:
    return [import_string(path)() for path in settings.BELONGINGS]
