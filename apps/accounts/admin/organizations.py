"""Organizations and their members in the admin."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

import uuid
from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import PROTECT, QuerySet
from django.forms import EmailInput, ModelForm, Select
from django.forms.models import BaseInlineFormSet, ModelChoiceField
from django.http import HttpRequest
from django.utils.safestring import SafeString

from apps.accounts.admin.deleting import KeptWhileOwning, lists_of, owned_by, related
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services.members import hand_over
from apps.core.admin import (
    MAX_TERM,
    LinkedFilter,
    ReadOnly,
    TextFilter,
    link_to,
    one_of,
)
from apps.core.events import tell


class PersonField(ModelChoiceField):
    """A user, typed as an e-mail address: there may be too many to list."""

    widget = EmailInput
    default_error_messages = {"invalid_choice": "Nobody here has this e-mail address."}

    def __init__(self) -> None:
        super().__init__(queryset=User.objects.all(), to_field_name="email", label="user")
        self.widget.attrs["aria-label"] = "E-mail address"

    def to_python(self, value: Any) -> Any:
        return super().to_python(User.objects.normalize_email(value))


class MembershipForm(ModelForm):
    user = PersonField()

    class Meta:
        model = Membership
        fields = ("user", "role")
        widgets = {"role": Select(attrs={"aria-label": "Role"})}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["user"] = self.instance.user.email


class MembershipFormSet(BaseInlineFormSet):
    """The members of one organization, as they are after saving."""

    def add_fields(self, form: Any, index: int | None) -> None:
        super().add_fields(form, index)
        # A row that was sent as it is needs no look at the database: of some hundreds only a few
        # ever change at a time.
        form.empty_permitted = form.empty_permitted or not form.instance._state.adding
        if "DELETE" in form.fields:
            form.fields["DELETE"].widget.attrs["aria-label"] = "Delete"

    def clean(self) -> None:
        super().clean()
        rows = (form for form in self.forms if form not in self.deleted_forms and form.is_valid())
        kept = (form for form in rows if form.cleaned_data or not form.instance._state.adding)
        if Role.OWNER not in {form.instance.role for form in kept}:
            raise ValidationError("An organization needs an owner.", code="no_owner")


class MembershipInline(admin.TabularInline):
    model = Membership
    form = MembershipForm
    formset = MembershipFormSet
    extra = 0
    min_num = 1

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("user")


class OrganizationFilter(TextFilter):
    """By an organization's id or a part of its name."""

    title = "organization"
    parameter_name = "organization"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(organization__in=self._meant()) if self.value() else queryset

    def found(self) -> str:
        if not self.value():
            return ""
        names = list(self._meant().order_by("name").values_list("name", flat=True)[:4])
        return (
            ", ".join(names[:3]) + (" and more" if len(names) > 3 else "") or "none has this name"
        )

    def _meant(self) -> QuerySet[Organization]:
        text = (self.value() or "")[:MAX_TERM].strip()
        try:
            return Organization.objects.filter(pk=uuid.UUID(text))
        except ValueError:
            return Organization.objects.filter(name__icontains=text)


@admin.register(Organization)
class OrganizationAdmin(KeptWhileOwning):
    list_display = ("name", "id", "personal_of", "created_at", "closed_at")
    list_select_related = ("personal_of",)
    list_filter = (("personal_of", admin.EmptyFieldListFilter),)
    search_fields = ("name",)
    id_lookups = ("pk",)
    email_lookups = ("memberships__user__email",)
    search_help_text = (
        "An organization's id or its start, a member's whole e-mail address, or a part of its name."
    )
    ordering = ("name",)
    readonly_fields = ("id", "personal_of", "created_at", "closed_at", "belongings")
    inlines = (MembershipInline,)

    def hindrances(self, obj: Organization) -> list[str]:
        if obj.personal_of_id:
            return ["It is somebody's personal organization, and goes when they are deleted."]
        return owned_by(obj)

    @admin.display(description="has")
    def belongings(self, organization: Organization) -> SafeString | str:
        if organization._state.adding:
            return "-"
        owned = [model for model, _ in related(Organization, PROTECT)]
        return lists_of(
            *filter(admin.site.is_registered, owned), ApiKey, organization=organization.pk
        )

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        assert isinstance(request.user, User)
        for membership in formset.deleted_objects:
            hand_over(membership, by=request.user)
        for membership in formset.new_objects:
            tell("member_added", membership=membership)


@admin.register(Membership)
class MembershipAdmin(ReadOnly):
    """For finding them. They are changed on their organization's page, which keeps an owner."""

    list_display = ("user", "organization_link", "role")
    list_select_related = ("user", "organization")
    list_filter = (one_of("role", tuple(Role)), OrganizationFilter, ("user", LinkedFilter))
    ordering = ("-id",)
    sortable_by = ("role",)
    search_fields = ("user__email", "organization__name")
    id_lookups = ("organization",)
    email_lookups = ("user__email",)
    search_help_text = "An organization's id, or a part of its name or of an e-mail address."
    fields = ("user", "organization_link", "role")

    @admin.display(description="organization")
    def organization_link(self, membership: Membership) -> SafeString | str:
        return link_to(membership.organization)
