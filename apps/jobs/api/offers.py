"""What the pages of the browsable API offer to send, by the caller's role and the job's state."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.urls import reverse
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.jobs.changes import MAX_REASON
from apps.jobs.formats import FORMATS
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.reading import export_of, file_of, job_of, upload_of
from apps.jobs.services import runs_again
from apps.jobs.states import DUPLICATE, OPEN, REJECTED, JobState
from apps.processors import registry
from apps.queue.models import Priority
from apps.queue.states import READY, State


class FilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class UploadForm(forms.Form):
    """The fields of an upload, for a page to draw; what is sent is read by `apps.jobs.upload`."""

    file = forms.FileField(
        label="Files",
        widget=FilesInput,
        help_text="PDF, Office, web, text, mail, or image files, or ZIPs of them.",
    )
    operation = forms.ChoiceField(help_text="What is done with each file.")
    priority = forms.ChoiceField(
        choices=[(label, label.capitalize()) for label in Priority.labels],
        initial=Priority.NORMAL.label,
        help_text="High goes before normal, normal before low.",
    )
    name = forms.CharField(
        required=False, max_length=200, help_text="To find the job by; may stay empty."
    )
    options = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text='A JSON object such as {"languages": ["eng"], "pages": "1-3", "ocr": "auto"}; '
        'documents that are protected open with its "password".',
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        operation = self.fields["operation"]
        assert isinstance(operation, forms.ChoiceField)
        operation.choices = [(name, name) for name in sorted(registry.operations())]
        operation.initial = "extract"


class ReasonForm(forms.Form):
    reason = forms.CharField(
        required=False, max_length=MAX_REASON, help_text="Shown to those who wait; may stay empty."
    )


class PriorityForm(forms.Form):
    priority = forms.ChoiceField(
        required=False,
        choices=[("", "As it is"), *((label, label.capitalize()) for label in Priority.labels)],
        help_text="It counts from the next free slot on.",
    )


class KeepForm(forms.Form):
    kept = forms.ChoiceField(
        required=False,
        choices=[("", "As it is"), ("true", "Kept"), ("false", "Not kept")],
        help_text="What is kept is left alone by cleanup, however old it gets.",
    )


class ExportForm(forms.Form):
    format = forms.ChoiceField(choices=[(name, each.label) for name, each in FORMATS.items()])
    jobs = forms.UUIDField(label="Job", help_text="The id of a job; programs may give many.")


class ChangeForm(PriorityForm, KeepForm):
    pass


def of_uploading(request: Request) -> list[Offer]:
    may = settings.ENABLE_BATCH and Actor.of_request(request).may("create", "jobs")
    return [Offer("Upload", form=UploadForm())] if may else []


def of_upload(request: Request, upload_id: UUID) -> list[Offer]:
    upload_of(Actor.of_request(request), upload_id)
    return [Offer("Remove", "DELETE", warning="What is stored of it is removed.")]


def of_pausing(request: Request) -> list[Offer]:
    if not Actor.of_request(request).may("update", "organization"):
        return []
    return [
        Offer("Pause the organization", form=ReasonForm()),
        Offer("Let it go on", "DELETE", warning="What waits starts as soon as a worker is free."),
    ]


def of_exporting(request: Request) -> list[Offer]:
    if not Actor.of_request(request).may("create", "exports"):
        return []
    return [Offer("Have an export built", form=ExportForm())]


def of_export(request: Request, export_id: UUID) -> list[Offer]:
    actor = Actor.of_request(request)
    export = export_of(actor, export_id)
    if not actor.may("delete", "exports", created_by_id=export.created_by_id):
        return []
    return [Offer("Delete the export", "DELETE", warning="Its bytes are gone; the results stay.")]


def of_doing(request: Request, job_id: UUID, verb: Callable[[BatchJob], Offer]) -> list[Offer]:
    """The one of an address that takes `verb` alone."""
    actor = Actor.of_request(request)
    job = job_of(actor, job_id)
    is_on = settings.ENABLE_BATCH or verb not in (retry, requeue)
    return [verb(job)] if is_on and _may_update(job, actor) else []


def of_doing_to_file(
    request: Request, file_id: UUID, verb: Callable[[BatchFile], Offer]
) -> list[Offer]:
    actor = Actor.of_request(request)
    file = file_of(actor, file_id)
    is_on = settings.ENABLE_BATCH or verb not in (retry_file, requeue_file)
    return [verb(file)] if is_on and _may_update(file.job, actor) else []


def of_job(request: Request, job_id: UUID) -> list[Offer]:
    """Those that the job's state allows: an open one is paused, resumed or cancelled, a closed one
    run again, discarded or deleted."""
    actor = Actor.of_request(request)
    job = job_of(actor, job_id)
    offered = _to_update(job, actor) if _may_update(job, actor) else []
    if job.state not in OPEN and actor.may("delete", "jobs", created_by_id=job.created_by_id):
        offered.append(_delete(job))
    return offered


def _to_update(job: BatchJob, actor: Actor) -> list[Offer]:
    if job.state == JobState.CANCELLING:
        return []
    if job.state in OPEN:
        holds = [] if job.state == JobState.PAUSED else [pause(job)]
        held = BatchFile.objects.ready().filter(job=job, is_held=True, waits_for=None)
        if not holds or held.exists():
            holds.append(resume(job))
        return [*holds, cancel(job), Offer("Change", "PATCH", form=ChangeForm())]
    ended_badly = any(job.counts[state] for state in runs_again(actor))
    may_discard = job.state in (JobState.FAILED, JobState.PARTIAL) and not job.discarded_at
    again = [*([retry(job)] if ended_badly else []), requeue(job)]
    return [
        *(again if settings.ENABLE_BATCH else []),
        *([discard(job)] if may_discard else []),
        Offer("Change", "PATCH", form=KeepForm()),
    ]


def of_file(request: Request, file_id: UUID) -> list[Offer]:
    """Those that the file's state and its job's allow."""
    actor = Actor.of_request(request)
    file = file_of(actor, file_id)
    if not _may_update(file.job, actor):
        return []
    if file.state in READY:
        is_paused = file.is_held and file.waits_for_id is None
        hold = resume_file(file) if is_paused else pause_file(file)
        return [hold, cancel_file(file), Offer("Change", "PATCH", form=PriorityForm())]
    if file.state == State.RUNNING:
        return [] if file.cancel_requested else [cancel_file(file)]
    if file.job.state in OPEN or file.state == REJECTED or not settings.ENABLE_BATCH:
        return []
    if file.state in (State.SUCCEEDED, DUPLICATE):
        # What was taken out of one that was opened runs again itself.
        return [] if file.members.exists() else [requeue_file(file)]
    return [retry_file(file)] if file.state in runs_again(actor) else []


def _may_update(job: BatchJob, actor: Actor) -> bool:
    return actor.may("update", "jobs", created_by_id=job.created_by_id)


def cancel(job: BatchJob) -> Offer:
    warning = "Files that wait or run are stopped. Results so far stay."
    return Offer("Cancel the job", url=reverse("job-cancel", args=[job.pk]), warning=warning)


def pause(job: BatchJob) -> Offer:
    return Offer("Pause the job", url=reverse("job-pause", args=[job.pk]))


def pause_with_reason(_job: BatchJob) -> Offer:
    return Offer("Pause the job", form=ReasonForm())


def resume(job: BatchJob) -> Offer:
    return Offer("Resume the job", url=reverse("job-resume", args=[job.pk]))


def retry(job: BatchJob) -> Offer:
    return Offer("Retry what failed", url=reverse("job-retry", args=[job.pk]))


def requeue(job: BatchJob) -> Offer:
    warning = "Every file is read again, also what succeeded."
    return Offer("Requeue the job", url=reverse("job-requeue", args=[job.pk]), warning=warning)


def discard(job: BatchJob) -> Offer:
    return Offer("Discard the failure", url=reverse("job-discard", args=[job.pk]))


def _delete(job: BatchJob) -> Offer:
    warning = "The job, its files and their results are gone for good."
    return Offer("Delete the job", "DELETE", reverse("job", args=[job.pk]), warning=warning)


def cancel_file(file: BatchFile) -> Offer:
    return Offer("Cancel the file", url=reverse("file-cancel", args=[file.pk]))


def pause_file(file: BatchFile) -> Offer:
    return Offer("Pause the file", url=reverse("file-pause", args=[file.pk]))


def pause_file_with_reason(_file: BatchFile) -> Offer:
    return Offer("Pause the file", form=ReasonForm())


def resume_file(file: BatchFile) -> Offer:
    return Offer("Resume the file", url=reverse("file-resume", args=[file.pk]))


def retry_file(file: BatchFile) -> Offer:
    return Offer("Retry the file", url=reverse("file-retry", args=[file.pk]))


def requeue_file(file: BatchFile) -> Offer:
    return Offer("Requeue the file", url=reverse("file-requeue", args=[file.pk]))
