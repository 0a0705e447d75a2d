"""Accounts in the stock admin."""

# Django's admin and form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as StockUserAdmin
from django.contrib.auth.forms import AdminUserCreationForm, UserChangeForm
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest

from apps.accounts.models import ApiKey, Membership, Organization, User
from apps.accounts.roles import Role
from apps.accounts.services import register_user, revoke_api_key


class NewUserForm(AdminUserCreationForm):
    class Meta:
        model = User
        fields = ("email", "name")


class ChangedUserForm(UserChangeForm):
    class Meta:
        model = User
        fields = "__all__"


@admin.register(User)
class UserAdmin(StockUserAdmin):
    """Django's own, with the e-mail address in place of a user name."""

    add_form = NewUserForm
    form = ChangedUserForm
    list_display = ("email", "name", "is_active", "is_staff", "date_joined", "last_login")
    list_filter = ("is_active", "is_staff", "is_superuser")
    search_fields = ("email", "name")
    ordering = ("email",)
    readonly_fields = ("date_joined", "last_login")
    fieldsets = (
        (None, {"fields": ("email", "name", "password")}),
        (
            "Permissions",
            {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")},
        ),
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


class MembershipFormSet(BaseInlineFormSet):
    """The members of one organization, as they are after saving."""

    def clean(self) -> None:
        super().clean()
        kept = (form.cleaned_data for form in self.forms if hasattr(form, "cleaned_data"))
        roles = {row.get("role") for row in kept if row and not row.get("DELETE")}
        if Role.OWNER not in roles:
            raise ValidationError("An organization needs an owner.", code="no_owner")


class MembershipInline(admin.TabularInline):
    model = Membership
    formset = MembershipFormSet
    autocomplete_fields = ("user",)
    extra = 0
    min_num = 1


@admin.register(Organization)
class OrganizationAdmin(admin.ModelAdmin):
    list_display = ("name", "id", "personal_of", "created_at")
    list_select_related = ("personal_of",)
    search_fields = ("name", "id", "memberships__user__email")
    readonly_fields = ("id", "personal_of", "created_at")
    inlines = (MembershipInline,)


@admin.register(Membership)
class MembershipAdmin(admin.ModelAdmin):
    """For finding them. They are changed on their organization's page, which keeps an owner."""

    list_display = ("user", "organization", "role")
    list_select_related = ("user", "organization")
    list_filter = ("role",)
    search_fields = ("user__email", "organization__name")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        return False


@admin.register(ApiKey)
class ApiKeyAdmin(admin.ModelAdmin):
    """Keys are made where their token can be shown; here they are seen and revoked."""

    list_display = (
        "prefix",
        "name",
        "user",
        "organization",
        "role",
        "created_at",
        "expires_at",
        "last_used_at",
        "revoked_at",
    )
    fields = ("id", *list_display)
    list_select_related = ("user", "organization")
    list_filter = ("role",)
    search_fields = ("prefix", "name", "user__email", "organization__name")
    actions = ("revoke",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: ApiKey | None = None) -> bool:
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("accounts.change_apikey")

    @admin.action(description="Revoke selected API keys", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        revoked = sum(revoke_api_key(key=key) for key in queryset)
        self.message_user(request, f"Revoked {revoked} API keys.", messages.SUCCESS)
