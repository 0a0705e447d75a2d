"""The form of a rule: for whom, what it lays down, how long, and why."""

# Django's form classes are generic for the type checker only, not when they run.
# mypy: disable-error-code="type-arg"

from typing import Any

from django import forms
from django.utils import timezone

from apps.core.errors import InvalidInput
from apps.ratelimits.limiters import TABLE, limiters
from apps.ratelimits.models import REASON_MAX_LENGTH, RateLimitRule
from apps.ratelimits.whom import HELP, Whom, find
from apps.ratelimits.windows import EXAMPLE, UNLIMITED

NUMBER, FREE, BLOCK = "number", "unlimited", "blocked"
EFFECTS = {
    NUMBER: "another number",
    FREE: "unlimited: neither counts nor refuses",
    BLOCK: "blocked: nothing passes until a date",
}
WIDE = forms.TextInput(attrs={"class": "vTextField"})


class MomentField(forms.DateTimeField):
    """A date and a time in the time zone of the server."""

    def __init__(self, **given: Any) -> None:
        zone = timezone.get_current_timezone_name()
        given["help_text"] = f"{given['help_text']} In {zone}."
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(required=False, widget=widget, **given)


class RuleForm(forms.Form):
    """`rule` is the one that is changed: whom it is for does not change."""

    who = forms.CharField(label="For whom", max_length=254, widget=WIDE, help_text=HELP)
    limiter = forms.ChoiceField(required=False)
    effect = forms.ChoiceField(choices=[*EFFECTS.items()], label="What it lays down")
    windows = forms.CharField(
        required=False,
        max_length=200,
        label="Number",
        widget=WIDE,
        help_text=f"Of one limiter; {EXAMPLE}. Whom the limiter counts stays the same: a rule for "
        "an organization gives each of its people that number.",
    )
    blocked_until = MomentField(help_text="For a block: it ends by itself then.")
    expires_at = MomentField(help_text="The rule ends then. Empty: when somebody ends it.")
    shadow = forms.BooleanField(
        required=False,
        label="Only try it",
        help_text="It counts what it would refuse, and what is in force besides stays in force. "
        "The charts show it.",
    )
    enabled = forms.BooleanField(required=False, initial=True, label="In force")
    reason = forms.CharField(
        max_length=REASON_MAX_LENGTH,
        widget=WIDE,
        help_text="Kept in the audit log, with your name.",
    )

    def __init__(self, *, rule: RateLimitRule | None = None, **given: Any) -> None:
        super().__init__(label_suffix="", **given)
        self.rule = rule
        self.whom: Whom | None = None
        if rule is not None:
            del self.fields["who"], self.fields["limiter"]
            return
        choices = [("", "every limiter")]
        for name in TABLE:
            windows = ", ".join(map(str, limiters()[name].windows)) or UNLIMITED[0]
            choices.append((name, f"{name} ({windows})"))
        self.fields["limiter"] = forms.ChoiceField(required=False, choices=choices)

    def clean_who(self) -> str:
        text: str = self.cleaned_data["who"]
        try:
            self.whom = find(text)
        except InvalidInput as error:
            raise forms.ValidationError(str(error)) from None
        if not self.whom.target:
            raise forms.ValidationError(
                "All requests together have no rule: LIMIT_GLOBAL sets the number."
            )
        return text

    def clean(self) -> dict[str, Any]:
        """Only what goes with the effect that was chosen counts: the rest may be left filled in."""
        data = super().clean() or {}
        effect = data.get("effect", "")
        data["windows"] = {NUMBER: data.get("windows", ""), FREE: UNLIMITED[0]}.get(effect, "")
        data["blocked_until"] = data.get("blocked_until") if effect == BLOCK else None
        if effect == NUMBER and not data["windows"]:
            self.add_error("windows", "Which number?")
        if effect == BLOCK and not data["blocked_until"] and "blocked_until" not in self.errors:
            self.add_error("blocked_until", "Until when?")
        return data

    @property
    def given(self) -> dict[str, Any]:
        """The fields of the rule that is wanted."""
        names = ("windows", "blocked_until", "expires_at", "shadow", "enabled", "reason")
        fields = {name: self.cleaned_data[name] for name in names}
        if self.whom is None:
            return fields
        return {**fields, **self.whom.target, "limiter": self.cleaned_data["limiter"]}

    def tell(self, error: InvalidInput) -> None:
        """Shows at each field what is wrong with it."""
        for each in error.errors:
            field = {"target": "who"}.get(each.field, each.field)
            self.add_error(field if field in self.fields else None, each.detail)

    @classmethod
    def filled(cls, rule: RateLimitRule) -> dict[str, Any]:
        """What the form of `rule` shows at first."""
        is_free = rule.windows == UNLIMITED[0]
        return {
            "effect": BLOCK if rule.blocked_until else FREE if is_free else NUMBER,
            "windows": "" if is_free else rule.windows,
            "blocked_until": rule.blocked_until,
            "expires_at": rule.expires_at,
            "shadow": rule.shadow,
            "enabled": rule.enabled,
            "reason": rule.reason,
        }
