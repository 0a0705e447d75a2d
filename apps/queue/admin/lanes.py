"""The limits of lanes in the admin."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any, cast

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest

from apps.accounts.models import User
from apps.core.admin import Listing
from apps.queue.lanes import lane_names, set_limits
from apps.queue.models import Lane

MOST = 1000


class LaneForm(forms.ModelForm):
    """`name` is chosen once, among the lanes that have no limits of their own yet."""

    max_running = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST,
        label="at once",
        help_text="Files of the lane that may run at the same time, over all workers. Empty: what "
        "the settings say. More than the workers have slots has no effect. To let nothing "
        "start, pause the lane on the board.",
    )
    max_running_per_organization = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MOST,
        label="at once for one organization",
        help_text="So that one organization leaves places to the others, also while nobody else "
        "waits. Empty: what the settings say, which is 1 in the lane email, where the messages of "
        "webhooks wait for strangers, and no limit elsewhere; turns are fair without one.",
    )

    class Meta:
        model = Lane
        fields = ("name", "max_running", "max_running_per_organization")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" in self.fields:
            taken = set(Lane.objects.values_list("pk", flat=True))
            free = [(name, name) for name in lane_names() if name not in taken]
            self.fields["name"] = forms.ChoiceField(choices=free, label="lane")


@admin.register(Lane)
class LaneAdmin(Listing):
    form = LaneForm
    list_display = ("lane", "at_once", "for_one")
    ordering = ("name",)
    sortable_by = ()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # empty limits are the settings'

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        set_limits(
            by=cast(User, request.user),
            lane=obj.name,
            max_running=obj.max_running,
            max_running_per_organization=obj.max_running_per_organization,
        )

    @admin.display(description="lane")
    def lane(self, lane: Lane) -> str:
        return lane.name

    @admin.display(description="at once")
    def at_once(self, lane: Lane) -> str:
        if lane.max_running is not None:
            return str(lane.max_running)
        return f"{settings.QUEUE_LANES.get(lane.name, 0)}, as the settings say"

    @admin.display(description="at once for one organization")
    def for_one(self, lane: Lane) -> str:
        if lane.max_running_per_organization is not None:
            return str(lane.max_running_per_organization)
        each = settings.QUEUE_LANES_EACH.get(lane.name)
        return "no limit" if each is None else f"{each}, as the settings say"
