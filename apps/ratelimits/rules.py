"""Laying down, changing and taking away rules: each is in the audit log, and in force in every
process within two seconds."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.audit.models import AuditEntry
from apps.audit.services import record
from apps.core.errors import FieldError, InvalidInput
from apps.ratelimits import rulebook
from apps.ratelimits.models import RateLimitRule

ADDED, CHANGED, REMOVED = "limit.rule_add", "limit.rule_change", "limit.rule_remove"
"""What the audit log calls it."""
CHANGEABLE = ("windows", "blocked_until", "shadow", "enabled", "expires_at", "reason")


def new_rule(**fields: Any) -> RateLimitRule:
    """As `add_rule` would lay it down. Raises InvalidInput for what makes no sense."""
    rule = RateLimitRule(**fields)
    _validate(rule)
    return rule


@transaction.atomic
def add_rule(*, by: User | None, **fields: Any) -> RateLimitRule:
    """A new rule with `fields` of RateLimitRule; by Docmill itself for None.

    One for the same limiter and target whose time is over gives way. Raises InvalidInput, with an
    error for each field, also when there is such a rule already: that one can be changed.
    """
    rule = new_rule(made_by=by, **fields)
    now = timezone.now()
    for other in list(_like(rule)):
        if other.state(now) != "over":
            told = f"Rule {other.pk} is for the same already: {other}, {other.effect}. Change that."
            raise InvalidInput(told, errors=[FieldError("target", "taken", told)])
        other.delete()
    rule.save()
    _note(rule, by, ADDED)
    return rule


@transaction.atomic
def change_rule(*, by: User, rule: RateLimitRule, **fields: Any) -> RateLimitRule:
    """Puts `fields`, some of CHANGEABLE. Raises InvalidInput, with an error for each field."""
    before = {name: getattr(rule, name) for name in fields}
    for name, value in fields.items():
        if name not in CHANGEABLE:
            raise ValueError(f"{name} of a rule does not change.")
        setattr(rule, name, value)
    _validate(rule)
    now = timezone.now()
    for name in ("blocked_until", "expires_at"):
        value = getattr(rule, name)
        if value and value != before.get(name, value) and value <= now:
            told = "It must be in the future. To end the rule, turn it off or remove it."
            raise InvalidInput(told, errors=[FieldError(name, "past", told)])
    rule.save()
    _note(rule, by, CHANGED)
    return rule


@transaction.atomic
def remove_rule(*, by: User | None, rule: RateLimitRule, reason: str = "") -> None:
    """What the rule laid down ends; a block is lifted."""
    _note(rule, by, REMOVED, reason)
    rule.delete()


def was_ever_added(limiter: str, organization: Organization) -> bool:
    """Whether there ever was a rule of `limiter` for `organization`."""
    added = AuditEntry.objects.filter(organization_id=organization.pk, action=ADDED)
    return added.filter(target_id=limiter).exists()


def _validate(rule: RateLimitRule) -> None:
    try:
        rule.clean()
    except ValidationError as error:
        errors = [
            FieldError(field, "invalid", told)
            for field, problems in error.message_dict.items()
            for told in problems
        ]
        raise InvalidInput(" ".join(each.detail for each in errors), errors=errors) from None


def _like(rule: RateLimitRule) -> Any:
    """Those that have the place of `rule`, locked."""
    target = {rule.kind: getattr(rule, rule.kind)}
    rules = RateLimitRule.objects.filter(limiter=rule.limiter, shadow=rule.shadow, **target)
    return rules.select_for_update()


def _note(rule: RateLimitRule, by: User | None, action: str, reason: str = "") -> None:
    rulebook.changed()
    record(
        organization=rule.organization,
        actor=by,
        action=action,
        target="limit",
        target_id=rule.limiter or "every limiter",
        detail=_told(rule),
        reason=reason or rule.reason,
    )


def _told(rule: RateLimitRule) -> dict[str, Any]:
    def text(moment: datetime | None) -> str | None:
        return moment.isoformat() if moment else None

    return {
        "rule": rule.pk,
        "for": rule.target,
        "windows": rule.windows or None,
        "blocked_until": text(rule.blocked_until),
        "shadow": rule.shadow,
        "enabled": rule.enabled,
        "expires_at": text(rule.expires_at),
    }
