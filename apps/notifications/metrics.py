"""What is counted of notifications."""

from apps.core.metrics import counter

TOLD = counter("docmill_notifications_told_total", "Notifications of people.", "kind")
