"""People in the admin."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as StockGroupAdmin
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import Group
from django.db.models import SET_NULL, ManyToManyField
from django.forms import CheckboxSelectMultiple
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from apps.accounts.admin.deleting import KeptWhileOwning, bounded, lists_of, owned_by, related
from apps.accounts.admin.recording import Recorded
from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import register_user
from apps.accounts.services.members import hand_over
from apps.core.admin import Listing, link_to

AS_CHECKBOXES: Any = {ManyToManyField: {"widget": CheckboxSelectMultiple}}
"""In place of the admin's two lists, which a screen reader cannot tell apart."""
RIGHTS = ("is_staff", "is_superuser", "groups", "user_permissions")
"""What only a superuser gives and takes: staff could otherwise give it to themselves."""


class NewUserForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")


class ChangedUserForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(KeptWhileOwning, StockUserAdmin):
    """Django's own, with the e-mail address in place of a user name."""

    add_form = NewUserForm
    form = ChangedUserForm
    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    email_lookups = ("email",)
    search_help_text = "A part of an e-mail address or a name."
    ordering = ("email",)
    readonly_fields = ("date_joined", "last_login", "belongings")
    filter_horizontal = ()
    formfield_overrides = AS_CHECKBOXES
    fieldsets = (
        (None, {"fields": ("email", "name", "password", "belongings")}),
        ("Permissions", {"fields": ("is_active", *RIGHTS)}),
        ("Dates", {"fields": ("date_joined", "last_login")}),
    )
    add_fieldsets = (
        (
            None,
            {
                "classes": ("wide",),
                "fields": ("email", "name", "usable_password", "password1", "password2"),
            },
        ),
    )

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
        else:
            register_user(user=obj)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, *RIGHTS)

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_below(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        may = super().has_delete_permission(request, obj) and self._is_below(request, obj)
        return may and obj != request.user

    def _is_below(self, request: HttpRequest, obj: User | None) -> bool:
        """Whether `obj` is nobody whose rights one could take over by setting their password."""
        return request.user.is_superuser or obj is None or not obj.is_staff

    def hindrances(self, obj: User) -> list[str]:
        owned = Organization.objects.filter(memberships__user=obj, memberships__role=Role.OWNER)
        others = Membership.objects.filter(role=Role.OWNER).exclude(user=obj)
        orphans = owned.filter(personal_of=None).exclude(memberships__in=others)
        told: list[str] = [
            format_html("{} has no other owner. Make somebody else one first.", link_to(each))
            for each in orphans[:10]
        ]
        personal = Organization.objects.filter(personal_of=obj).first()
        told += owned_by(personal) if personal else []
        if obj.logentry_set.exists():
            told.append("Their entries in the history of the admin would go with them.")
        if told:
            told.append("To keep them out, it is enough to make them inactive.")
        return told

    @admin.display(description="has")
    def belongings(self, user: User) -> SafeString:
        made = (
            lists_of(model, **{f"{field}__id__exact": user.pk})
            for model, field in related(User, SET_NULL)
            if admin.site.is_registered(model)
        )
        listed = (lists_of(Membership, ApiKey, user__id__exact=user.pk), *made)
        return format_html_join(", ", "{}", ((each,) for each in listed))

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        assert isinstance(request.user, User)
        memberships = obj.memberships.select_related("user", "organization")
        for membership in memberships.order_by("organization_id"):
            hand_over(membership, by=request.user)
        super().delete_model(request, obj)

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
        rows = (
            (model, bounded(model._default_manager.filter(**{field: context["object"]})))
            for model, field in related(User, SET_NULL)
        )
        context["stays"] = [
            f"{capfirst(str(model._meta.verbose_name_plural))}: {count}"
            for model, count in rows
            if count
        ]
        return super().render_delete_form(request, context)


admin.site.unregister(Group)


@admin.register(Group)
class GroupAdmin(Recorded, Listing, StockGroupAdmin):
    """Django's own, with permissions that can be ticked without a script. What a group gives is a
    right of its members, so only superusers change it."""

    filter_horizontal = ()
    formfield_overrides = AS_CHECKBOXES

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return request.user.is_superuser
