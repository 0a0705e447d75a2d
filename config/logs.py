"""The formatter of processes that run no Django: the web server's own, that looks after the others.

Named in `granian-log.json`.
"""

import logging
import os


def formatter() -> logging.Formatter:
    """As LOG_FORMAT says."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings

    from apps.core import logs

    logs.configure(settings.LOG_FORMAT)
    return logs.formatter(settings.LOG_FORMAT)
