"""Why nothing is told of metrics."""

from http import HTTPStatus

from apps.core.errors import DocmillError, Unavailable


class MetricsOff(Unavailable):
    """ENABLE_METRICS is false."""

    code = "metrics.off"
    title = "Nothing is counted here"


class MetricsUnreadable(Unavailable):
    """Their folder cannot be read, or somebody else has it for too long."""

    code = "metrics.unreadable"
    title = "What was counted cannot be read for the moment"


class MetricsForbidden(DocmillError):
    """Neither the token, nor an address that may, nor staff who is signed in."""

    code = "auth.forbidden"
    status = HTTPStatus.FORBIDDEN
    title = "You may not do this"
