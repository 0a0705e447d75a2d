"""Limits on the service before the tests: rules, counts, refusals and what was over time. Made by
`manage.py shell` in the service's own environment."""

from datetime import timedelta

from django.utils import timezone

from apps.accounts.models import Organization, User
from apps.ratelimits.models import LimitHour, Offender
from apps.ratelimits.rules import add_rule
from apps.ratelimits.services import check
from apps.ratelimits.subjects import Subject


def make() -> None:
    """Of people who ask for nothing in the tests, but for one, who may not."""
    now = timezone.now()
    admin = User.objects.get(is_superuser=True)
    nora = User.objects.get(email="nora@example.com")
    ursula = User.objects.get(email="ursula@example.com")
    trust = Organization.objects.get(name="Lighthouse Trust")
    add_rule(by=admin, user=nora, limiter="chat", windows="200/min, 2000/h", reason="A demo.")
    add_rule(by=admin, user=ursula, limiter="api", windows="1/h", reason="A demo.")
    add_rule(by=admin, organization=trust, limiter="ocr", windows="unlimited", reason="They pay.")
    block = now + timedelta(days=1)
    add_rule(by=admin, network="203.0.113.0/24", blocked_until=block, reason="Guesses passwords.")
    add_rule(
        by=admin, user=nora, limiter="search", windows="5/min", shadow=True, reason="Is it enough?"
    )
    add_rule(by=admin, user=nora, limiter="share", blocked_until=block, reason="Sent spam.")
    for _ in range(12):
        check("chat", Subject.user(nora.pk))
        check("deep-analysis", Subject.user(nora.pk))
        check("auth", Subject.address("198.51.100.20"))
    Offender.objects.create(network="198.51.100.20/32", limiter="auth", times=3, blocks=1)
    Offender.objects.create(network="2001:db8:7::/64", limiter="api", times=1, user=nora)
    start = now.replace(minute=0, second=0, microsecond=0)
    for hour in range(1, 80):
        _hour(start - timedelta(hours=hour), "api", (hour * 7) % 50 + 20, (hour % 9 == 0) * 15)
        _hour(start - timedelta(hours=hour), "auth", hour % 5, (hour % 13 == 0) * 30)


def _hour(start: object, name: str, allowed: int, refused: int) -> None:
    for outcome, count in (("allowed", allowed), ("refused", refused)):
        minutes = [count // 60] * 60
        minutes[10] += count % 60
        LimitHour.objects.create(
            start=start, limiter=name, outcome=outcome, minutes=minutes, count=count
        )
