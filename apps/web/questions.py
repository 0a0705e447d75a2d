"""What is asked before something is done that is not undone by a click."""

from dataclasses import dataclass

from django.urls import reverse

from apps.jobs.models import BatchFile, BatchJob
from apps.web import words


@dataclass(frozen=True)
class Question:
    """`url` is where its form goes, `back` where a no leads; one that `takes_reason` has a field
    for it."""

    name: str
    heading: str
    text: str
    yes: str
    no: str
    url: str
    back: str
    is_danger: bool = False
    takes_reason: bool = False


def cancel_question(job: BatchJob) -> Question:
    return Question(
        name="cancel",
        heading="Cancel this job?",
        text=(
            f"It has {words.files(job.total)}. Those that wait are not started, those that run "
            "stop within seconds. Results so far stay, and the rest can be run again later."
        ),
        yes="Cancel the job",
        no="Let it run",
        url=reverse("web:job-cancel", args=[job.pk]),
        back=reverse("web:job", args=[job.pk]),
        is_danger=True,
    )


def pause_question(job: BatchJob) -> Question:
    return Question(
        name="pause",
        heading="Pause this job?",
        text="Nothing new of it starts until somebody resumes it. What runs goes on to its end.",
        yes="Pause the job",
        no="Let it run",
        url=reverse("web:job-pause", args=[job.pk]),
        back=reverse("web:job", args=[job.pk]),
        takes_reason=True,
    )


def pause_file_question(file: BatchFile) -> Question:
    return Question(
        name="pause",
        heading="Pause this file?",
        text="It does not start until somebody resumes it or its job. The others go on.",
        yes="Pause the file",
        no="Let it run",
        url=reverse("web:file-pause", args=[file.pk]),
        back=reverse("web:file", args=[file.pk]),
        takes_reason=True,
    )


def requeue_question(job: BatchJob) -> Question:
    whole = "Its file is" if job.total == 1 else f"All of its {job.total} files are"
    return Question(
        name="requeue",
        heading="Read everything again?",
        text=(
            f"{whole} read again, also what succeeded. "
            "What was read so far stays until it is read anew."
        ),
        yes="Read everything again",
        no="Leave it as it is",
        url=reverse("web:job-requeue", args=[job.pk]),
        back=reverse("web:job", args=[job.pk]),
    )


def delete_question(job: BatchJob) -> Question:
    whole = "its file and the result" if job.total == 1 else f"its {job.total} files and results"
    return Question(
        name="delete",
        heading="Delete this job?",
        text=f"The job, {whole} are removed for good. Nobody can bring them back.",
        yes="Delete the job",
        no="Keep it",
        url=reverse("web:job-delete", args=[job.pk]),
        back=reverse("web:job", args=[job.pk]),
        is_danger=True,
    )
