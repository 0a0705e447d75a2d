"""How the log tells of requests that were turned away, so that nobody can wake an operator."""

import logging


class TurnedAway(logging.Filter):
    """A warning without a traceback. What Django calls suspicious it logs as an error, and scanners
    send it all day; where it was raised is always the same, and the line names the rest."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security.") or record.levelno < logging.ERROR:
            record.exc_info = None
            if record.levelno > logging.WARNING:
                record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


SUSPICIOUS = (
    "BadRequest",
    "DisallowedHost",
    "DisallowedModelAdminLookup",
    "DisallowedModelAdminToField",
    "DisallowedRedirect",
    "InvalidSessionKey",
    "RequestDataTooBig",
    "SuspiciousFileOperation",
    "SuspiciousMultipartForm",
    "SuspiciousOperation",
    "SuspiciousSession",
    "TooManyFieldsSent",
    "TooManyFilesSent",
)
"""What Django names loggers after, each of which has to be told by itself."""
