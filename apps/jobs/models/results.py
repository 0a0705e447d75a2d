"""What was read of files, to the end or not yet."""

from django.db import models
from django.utils import timezone

from apps.jobs.models.jobs import BatchFile, Blob


class Checkpoint(models.Model):
    """What a finished stage of a file came to, kept until the file ends: a run after one that was
    lost goes on from here. `fingerprint` says of what and by what it was made."""

    file = models.ForeignKey(BatchFile, on_delete=models.CASCADE, related_name="checkpoints")
    stage = models.CharField(max_length=32)
    fingerprint = models.CharField(max_length=64)
    content = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="checkpoints")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["file", "stage"], name="one_checkpoint_per_stage")
        ]

    def __str__(self) -> str:
        return f"{self.stage} of {self.file_id}"


class FileResult(models.Model):
    """What was read from a file: a summary here, the extraction itself (JSON) in `content`, and
    the PDF with the recognized text over its pictures in `searchable`, where there is one."""

    file = models.OneToOneField(BatchFile, on_delete=models.CASCADE, related_name="result")
    run = models.PositiveSmallIntegerField()
    content = models.ForeignKey(Blob, on_delete=models.PROTECT, related_name="results")
    searchable = models.ForeignKey(
        Blob, null=True, on_delete=models.PROTECT, related_name="searchable_results"
    )
    pages = models.PositiveIntegerField()
    words = models.PositiveIntegerField()
    language = models.CharField(max_length=16, blank=True, default="")
    quality = models.CharField(max_length=8)
    engine = models.CharField(max_length=100)
    metadata = models.JSONField(default=dict)
    warnings = models.JSONField(default=list)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"result of {self.file_id}"

    @property
    def blob_ids(self) -> set[int]:
        """The bytes that it rests on."""
        return {pk for pk in (self.content_id, self.searchable_id) if pk is not None}
