"""What is kept of limits in the database."""

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone

from apps.accounts.models import ApiKey, Organization
from apps.ratelimits.limiters import TABLE
from apps.ratelimits.networks import parse_network
from apps.ratelimits.subjects import Kind
from apps.ratelimits.windows import UNLIMITED, BadWindows, parse_windows

KEY_MAX_LENGTH = 200
NAME_MAX_LENGTH = 32
NETWORK_MAX_LENGTH = 43
REASON_MAX_LENGTH = 200
TARGETS = ("user", "organization", "key", "network")
"""Of each rule exactly one is given."""
BEFORE_SIGN_IN = ("auth", "anonymous")
"""Limiters that count who is nobody yet."""


class KeptCount(models.Model):
    """The hits of one key, counted here while Redis is away: an encoded log or slices.

    Of limiters only that must hold for all processes together even then.
    """

    key = models.CharField(max_length=KEY_MAX_LENGTH, primary_key=True)
    state = models.BinaryField(default=bytes)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key


class RuleQuerySet(models.QuerySet["RateLimitRule"]):
    """Rules."""

    def in_force(self, now: datetime) -> Self:
        """Those that change something at `now`."""
        lasting = Q(expires_at=None) | Q(expires_at__gt=now)
        blocking = Q(blocked_until=None) | Q(blocked_until__gt=now)
        return self.filter(lasting, blocking, enabled=True)

    def over(self, now: datetime) -> Self:
        """Those whose time was over before `now`."""
        return self.filter(Q(expires_at__lte=now) | Q(blocked_until__lte=now))

    def blocking(self, now: datetime) -> Self:
        """Those that refuse everything at `now`."""
        return self.in_force(now).filter(blocked_until__gt=now, shadow=False)


class RateLimitRule(models.Model):
    """What an operator lays down for one user, organization, key or network of addresses, of one
    limiter or ("") of every one.

    Other `windows` (text, as `parse_windows` reads it; `unlimited`), or no requests at all until
    `blocked_until`. A `shadow` counts what it would refuse, and refuses nothing. `services` of
    rules write it, and tell every process.
    """

    limiter = models.CharField(max_length=NAME_MAX_LENGTH, blank=True, default="")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    organization = models.ForeignKey(
        Organization, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    key = models.ForeignKey(
        ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    network = models.CharField(max_length=NETWORK_MAX_LENGTH, blank=True, default="")
    windows = models.CharField(max_length=200, blank=True, default="")
    blocked_until = models.DateTimeField(null=True, blank=True)
    shadow = models.BooleanField(default=False)
    enabled = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    reason = models.CharField(max_length=REASON_MAX_LENGTH)
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = RuleQuerySet.as_manager()

    class Meta:
        verbose_name = "rule"
        constraints = [
            models.CheckConstraint(
                condition=(
                    Q(user__isnull=False, organization=None, key=None, network="")
                    | Q(user=None, organization__isnull=False, key=None, network="")
                    | Q(user=None, organization=None, key__isnull=False, network="")
                    | (Q(user=None, organization=None, key=None) & ~Q(network=""))
                ),
                name="ratelimits_rule_one_target",
            ),
            models.CheckConstraint(
                condition=(
                    Q(windows="", blocked_until__isnull=False)
                    | (~Q(windows="") & Q(blocked_until=None))
                ),
                name="ratelimits_rule_one_effect",
            ),
            # A shadow may stand beside the rule that it is to follow.
            *(
                models.UniqueConstraint(
                    fields=["limiter", target, "shadow"],
                    condition=~Q(network="")
                    if target == "network"
                    else Q((f"{target}__isnull", False)),
                    name=f"ratelimits_one_rule_of_{target}",
                )
                for target in TARGETS
            ),
        ]

    def __str__(self) -> str:
        return f"{self.limiter or 'every limiter'} of {self.target}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.clean()
        super().save(*args, **kwargs)

    @property
    def target(self) -> str:
        """Whom it is for, in words."""
        if self.user_id:
            return str(self.user)
        if self.organization_id:
            return f"organization {self.organization}"
        return f"key {self.key}" if self.key_id else f"address {self.network}"

    @property
    def kind(self) -> str:
        """Which of TARGETS is given; "" for none."""
        given = (self.user_id, self.organization_id, self.key_id, self.network)
        return next((name for name, value in zip(TARGETS, given, strict=True) if value), "")

    @property
    def effect(self) -> str:
        """What it lays down, in words."""
        told = (
            f"blocked until {self.blocked_until:%Y-%m-%d %H:%M} UTC" if self.blocked_until else ""
        )
        return (told or self.windows) + (", only tried" if self.shadow else "")

    @property
    def is_block(self) -> bool:
        """Whether it refuses everything, for real."""
        return self.blocked_until is not None and self.enabled and not self.shadow

    def state(self, now: datetime) -> str:
        """In a word: `off`, `over`, or `in_force`."""
        if not self.enabled:
            return "off"
        ends = [each for each in (self.expires_at, self.blocked_until) if each]
        return "over" if ends and min(ends) <= now else "in_force"

    def clean(self) -> None:
        """Puts `windows` and `network` as they are stored. Raises ValidationError, by field."""
        errors: dict[str, str] = {}
        for field, check in (
            ("limiter", self._clean_limiter),
            ("target", self._clean_target),
            ("windows", self._clean_effect),
            ("reason", self._clean_reason),
        ):
            try:
                check()
            except ValueError as error:
                errors[field] = str(error)
        if self.expires_at and self._state.adding and self.expires_at <= timezone.now():
            errors["expires_at"] = "The expiry must be in the future."
        if errors:
            raise ValidationError({name: [told] for name, told in errors.items()})

    def _clean_limiter(self) -> None:
        if self.limiter and self.limiter not in TABLE:
            raise ValueError(f"There is no limiter {self.limiter!r}, only {', '.join(TABLE)}.")

    def _clean_target(self) -> None:
        given = (self.user_id, self.organization_id, self.key_id, self.network)
        if sum(map(bool, given)) != 1:
            raise ValueError("Give one: a user, an organization, a key, or an address or network.")
        if self.network:
            self.network = str(parse_network(self.network))
        elif self.limiter in BEFORE_SIGN_IN:
            raise ValueError(
                f"{self.limiter} counts people before they are known: give an address or network."
            )

    def _clean_effect(self) -> None:
        self.windows = self.windows.strip()
        if bool(self.windows) == (self.blocked_until is not None):
            raise ValueError("Give one: a number, unlimited, or a date until which all is refused.")
        if self.blocked_until:
            if self._state.adding and self.blocked_until <= timezone.now():
                raise ValueError("A block must end in the future.")
            return
        try:
            windows = parse_windows(self.windows)
        except BadWindows as error:
            raise ValueError(f"{error}.") from None
        self._require_sense(bool(windows))
        self.windows = ", ".join(map(str, windows)) or UNLIMITED[0]

    def _require_sense(self, is_number: bool) -> None:
        """Numbers are of one limiter, and of one that does not count everybody together."""
        if is_number and not self.limiter:
            raise ValueError(
                "A number is of one limiter: choose which. Of every limiter a rule "
                "can be unlimited or a block."
            )
        if is_number and Kind.EVERYTHING in TABLE.get(self.limiter, ((), ""))[0]:
            raise ValueError(
                f"{self.limiter} counts everybody together, so nobody has a number of their own "
                "there: a rule can be unlimited or a block. LIMIT_GLOBAL sets the number."
            )

    def _clean_reason(self) -> None:
        self.reason = " ".join(self.reason.split())
        if not 1 <= len(self.reason) <= REASON_MAX_LENGTH:
            raise ValueError(f"Say why, in at most {REASON_MAX_LENGTH} characters.")


class LimitHour(models.Model):
    """How often a limiter came to an outcome in the hour from `start`, and in each minute of it.

    Folded from what Redis counts; see `statistics`.
    """

    limiter = models.CharField(max_length=NAME_MAX_LENGTH)
    start = models.DateTimeField()
    outcome = models.CharField(max_length=8)
    minutes = models.JSONField(default=list)
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["start", "limiter", "outcome"], name="ratelimits_one_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.count} {self.outcome} by {self.limiter} from {self.start}"


class Offender(models.Model):
    """An address that was refused again and again: how often that was noticed, and how often it
    was blocked for it. `user` is who was signed in there the last time, `limiter` what refused."""

    network = models.CharField(max_length=NETWORK_MAX_LENGTH, unique=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    limiter = models.CharField(max_length=NAME_MAX_LENGTH)
    times = models.PositiveIntegerField(default=0)
    blocks = models.PositiveIntegerField(default=0)
    first_at = models.DateTimeField(default=timezone.now)
    last_at = models.DateTimeField(default=timezone.now, db_index=True)

    class Meta:
        verbose_name = "repeated offender"

    def __str__(self) -> str:
        return self.network


class LimitsNow(RateLimitRule):
    """No rows of its own: who may see (`view`) and reset (`change`) what is counted, and where the
    admin lists it."""

    class Meta:
        proxy = True
        default_permissions = ("view", "change")
        verbose_name = verbose_name_plural = "counts"
