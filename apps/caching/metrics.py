"""What is counted of the cache."""

from apps.core.metrics import counter

ASKED = counter("docmill_cache_requests_total", "Values that were asked for.", "kind", "result")
