"""What the pages of the browsable API offer to send, by the caller's role and the job's state."""

from typing import Any
from uuid import UUID

from django import forms
from django.urls import reverse
from rest_framework.request import Request

from apps.accounts.actor import Actor
from apps.core.browsable import Offer
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.reading import file_of, job_of
from apps.jobs.services import runs_again
from apps.jobs.states import OPEN, JobState
from apps.processors import registry
from apps.queue.models import Priority


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


def of_uploading(request: Request) -> list[Offer]:
    if not Actor.of_request(request).may("create", "jobs"):
        return []
    return [Offer("Upload", form=UploadForm())]


def of_cancelling(request: Request, job_id: UUID) -> list[Offer]:
    actor = Actor.of_request(request)
    return _cancel(job_of(actor, job_id), actor)


def of_retrying(request: Request, job_id: UUID) -> list[Offer]:
    actor = Actor.of_request(request)
    return _retry(job_of(actor, job_id), actor)


def of_job(request: Request, job_id: UUID) -> list[Offer]:
    """Those that the job's state allows: an open one is cancelled, a closed one run again or
    deleted."""
    actor = Actor.of_request(request)
    job = job_of(actor, job_id)
    if job.state in OPEN:
        return _cancel(job, actor) if job.state != JobState.CANCELLING else []
    ended_badly = any(job.counts[state] for state in runs_again(actor))
    return (_retry(job, actor) if ended_badly else []) + _delete(job, actor)


def of_file(request: Request, file_id: UUID) -> list[Offer]:
    actor = Actor.of_request(request)
    file = file_of(actor, file_id)
    if file.job.state in OPEN or file.state not in runs_again(actor):
        return []
    return _retry_file(file, actor)


def of_retrying_file(request: Request, file_id: UUID) -> list[Offer]:
    actor = Actor.of_request(request)
    return _retry_file(file_of(actor, file_id), actor)


def _cancel(job: BatchJob, actor: Actor) -> list[Offer]:
    if not actor.may("update", "jobs", created_by_id=job.created_by_id):
        return []
    warning = "Files that wait or run are stopped. Results so far stay."
    return [Offer("Cancel the job", url=reverse("job-cancel", args=[job.pk]), warning=warning)]


def _retry(job: BatchJob, actor: Actor) -> list[Offer]:
    if not actor.may("update", "jobs", created_by_id=job.created_by_id):
        return []
    return [Offer("Retry what failed", url=reverse("job-retry", args=[job.pk]))]


def _delete(job: BatchJob, actor: Actor) -> list[Offer]:
    if not actor.may("delete", "jobs", created_by_id=job.created_by_id):
        return []
    warning = "The job, its files and their results are gone for good."
    return [Offer("Delete the job", "DELETE", reverse("job", args=[job.pk]), warning=warning)]


def _retry_file(file: BatchFile, actor: Actor) -> list[Offer]:
    if not actor.may("update", "jobs", created_by_id=file.job.created_by_id):
        return []
    return [Offer("Retry the file", url=reverse("file-retry", args=[file.pk]))]
