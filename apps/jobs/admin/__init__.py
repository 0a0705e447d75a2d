"""Jobs, files and attempts in the admin: to be read, and changed through the services alone."""

from apps.jobs.admin.attempts import FileAttemptAdmin
from apps.jobs.admin.files import BatchFileAdmin
from apps.jobs.admin.jobs import BatchJobAdmin

__all__ = ["BatchFileAdmin", "BatchJobAdmin", "FileAttemptAdmin"]
