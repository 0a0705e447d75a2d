"""Limits in the admin: rules, and who is at which count, is refused, and was over time."""

from apps.ratelimits.admin.counts import CountsAdmin
from apps.ratelimits.admin.rules import RuleAdmin

__all__ = ["CountsAdmin", "RuleAdmin"]
