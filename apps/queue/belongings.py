"""What the queue keeps of organizations."""

from typing import ClassVar

from django.db.models import Model

from apps.accounts.belongings import Belongings
from apps.accounts.models import Organization
from apps.queue.models import Pause, WorkItem, in_states
from apps.queue.states import FINISHED


class WorkBelongings(Belongings):
    models: ClassVar[tuple[type[Model], ...]] = (WorkItem,)

    def remove(self, organization: Organization) -> None:
        """Work that ended, and pauses: what is paused would never end."""
        Pause.objects.filter(organization=organization).delete()
        WorkItem.objects.filter(in_states(FINISHED), organization=organization).delete()
