"""What goes wrong with backups, in sentences for whoever runs the command."""


class BackupFailed(Exception):
    """Nothing was written, or what was written is no backup and is gone."""


class BadArchive(BackupFailed):
    """The file is no whole backup of Docmill."""


class RestoreRefused(BackupFailed):
    """Nothing was changed."""
