"""What is counted of decisions."""

from apps.core.metrics import counter

DECISIONS = counter(
    "docmill_rate_limit_decisions_total", "What limiters decided.", "limiter", "outcome"
)
STANDBY = counter(
    "docmill_rate_limit_standby_total", "Decisions that were made without Redis.", "limiter"
)
