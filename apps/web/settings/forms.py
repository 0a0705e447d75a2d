"""The forms of the settings. What a service refuses is told beside the field that it is about."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.forms import (
    CharField,
    ChoiceField,
    EmailField,
    EmailInput,
    Form,
    PasswordInput,
    Select,
    TextInput,
)

from apps.accounts.names import NAME_MAX_LENGTH
from apps.accounts.roles import Role
from apps.core.errors import DocmillError
from apps.web.joining import new_password_field
from apps.web.sessions import PASSWORD_MAX_LENGTH

LIVES = {"30": "30 days", "90": "90 days", "365": "One year", "": "Never"}
"""How long a key may live, in days -> as people choose it."""


class SettingsForm(Form):
    """`name` tells the forms of a page apart, so that no two fields have the same id."""

    name = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("auto_id", f"id_{self.name}_%s" if self.name else "id_%s")
        super().__init__(*args, **kwargs)

    def tell(self, error: DocmillError) -> None:
        """Beside the fields that `error` is about, else above them."""
        told = False
        for each in error.errors:
            field = each.field if each.field in self.fields else None
            self.add_error(field, ValidationError(each.detail, each.code))
            told = True
        if not told:
            self.add_error(None, ValidationError(str(error), error.code))


def password_field(label: str = "Your password") -> CharField:
    return CharField(
        label=label,
        strip=False,
        max_length=PASSWORD_MAX_LENGTH,
        error_messages={"required": "Enter your password."},
        widget=PasswordInput(attrs={"autocomplete": "current-password"}),
    )


def name_field(label: str, **more: Any) -> CharField:
    required = {"required": "A name needs at least one character."}
    return CharField(
        label=label,
        max_length=NAME_MAX_LENGTH,
        error_messages=required,
        widget=TextInput(attrs={"autocomplete": "off"}),
        **more,
    )


class PasswordForm(SettingsForm):
    """Asks for one's password, which `check_password` looks at."""

    def refuse_password(self) -> None:
        self.add_error("password", ValidationError("This is not your password.", "mismatch"))


class OwnNameForm(SettingsForm):
    name = "name"
    own_name = CharField(
        label="Your name",
        required=False,
        max_length=NAME_MAX_LENGTH,
        help_text="Shown to the members of your organizations; your address where it is empty.",
        widget=TextInput(attrs={"autocomplete": "name"}),
    )


class AddressForm(PasswordForm):
    name = "address"
    email = EmailField(
        label="New e-mail address",
        max_length=254,
        help_text="A link is mailed to it. Until it is opened nothing changes.",
        error_messages={"required": "Enter the new address."},
        widget=EmailInput(attrs={"autocomplete": "email"}),
    )
    password = password_field()


class NewPasswordForm(PasswordForm):
    name = "password"
    password = password_field("Your password now")
    new_password = new_password_field()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_password"].label = "New password"


def choices_of(roles: Iterable[Role]) -> list[tuple[str, str]]:
    return [(str(role), str(role).capitalize()) for role in roles]


class RoleChoice(SettingsForm):
    """Of the roles that may be given, a modest one is chosen until somebody chooses another."""

    role = ChoiceField(label="Role", widget=Select)

    def __init__(self, roles: list[Role], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["role"]
        assert isinstance(field, ChoiceField)
        field.choices = choices_of(roles)
        field.initial = str(Role.CONTRIBUTOR)


class InviteForm(RoleChoice):
    name = "invite"
    email = EmailField(
        label="E-mail address",
        max_length=254,
        error_messages={"required": "Enter an e-mail address."},
        widget=EmailInput(attrs={"autocomplete": "off"}),
    )
    field_order = ("email", "role")


class KeyForm(RoleChoice):
    name = "key"
    label = name_field("What it is for")
    expires = ChoiceField(label="Expires after", choices=list(LIVES.items()), required=False)
    field_order = ("label", "role", "expires")

    @property
    def life(self) -> timedelta | None:
        days = self.cleaned_data["expires"]
        return timedelta(days=int(days)) if days else None


class OrganizationForm(SettingsForm):
    label = name_field("Name")


class TypedNameForm(SettingsForm):
    typed = CharField(label="Its name", max_length=1000, widget=TextInput)


class TypedAddressForm(PasswordForm):
    typed = CharField(label="Your e-mail address", max_length=1000, widget=TextInput)
    password = password_field()
