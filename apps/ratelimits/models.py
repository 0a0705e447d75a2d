"""What is kept of limits in the database."""

from django.db import models

KEY_MAX_LENGTH = 200


class KeptCount(models.Model):
    """The hits of one key, counted here while Redis is away: an encoded log or slices.

    Of limiters only that must hold for all processes together even then.
    """

    key = models.CharField(max_length=KEY_MAX_LENGTH, primary_key=True)
    state = models.BinaryField(default=bytes)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key
