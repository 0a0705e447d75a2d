"""No rows: the settings are not in the database."""

from django.db import models


class FlagNow(models.Model):
    """Who may see the flags, and where the admin lists them."""

    class Meta:
        managed = False
        default_permissions = ("view",)
        verbose_name = verbose_name_plural = "flags"

    def __str__(self) -> str:
        return "flags"
