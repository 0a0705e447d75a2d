"""No rows: what is kept is not in the database."""

from django.db import models


class CacheNow(models.Model):
    """Who may see the cache (`view`) and invalidate what is in it (`change`), and where the admin
    lists it."""

    class Meta:
        managed = False
        default_permissions = ("view", "change")
        verbose_name = verbose_name_plural = "cache"

    def __str__(self) -> str:
        return "cache"
