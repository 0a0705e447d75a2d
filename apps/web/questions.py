"""What is asked before something is done that is not undone by a click."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.verbs import Verb
from apps.web import words


@dataclass(frozen=True)
class Question:
    """`url` is where its form goes, `back` where a no leads; one that `takes_reason` has a field
    for it. `names` are of what it is about, `unnamed` is how many more these are, and `fields` go
    with the form unseen."""

    name: str
    heading: str
    text: str
    yes: str
    no: str
    url: str
    back: str
    is_danger: bool = False
    takes_reason: bool = False
    names: Sequence[str] = ()
    unnamed: int = 0
    fields: Sequence[tuple[str, str]] = ()


NAMED = 10
"""Things that a question calls by their names; of the others it says how many they are."""


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


def bulk_question(
    verb: Verb,
    jobs: Sequence[BatchJob],
    *,
    titles: Sequence[str],
    left: int,
    exports: int,
    list_query: str,
) -> Question:
    """Of several jobs at once; `left` is how many were chosen besides that stay as they are,
    `exports` how many go with them when they are deleted."""
    count = words.jobs(len(jobs))
    files = words.files(sum(job.total for job in jobs))
    text = _of_deleting(count, files, exports) if verb.deletes else _of_cancelling(files)
    if left:
        chosen = "1 more was chosen and stays as it is" if left == 1 else ""
        chosen = chosen or f"{left} more were chosen and stay as they are"
        text += f" {chosen}: what cannot be {verb.done.lower()}, or not by you."
    back = f"{reverse('web:jobs')}?{list_query}".rstrip("?")
    fields = [("verb", verb.name), ("sure", "yes"), ("list", list_query)]
    return Question(
        name=verb.name,
        heading=f"{verb.label} {count}?",
        text=text,
        yes=f"{verb.label} {count}",
        no="Go back",
        url=reverse("web:jobs-bulk"),
        back=back,
        is_danger=True,
        names=titles[:NAMED],
        unnamed=max(0, len(titles) - NAMED),
        fields=[*fields, *(("jobs", str(job.pk)) for job in jobs)],
    )


def _of_cancelling(files: str) -> str:
    return (
        f"{files} in all. Those that wait are not started, those that run stop within seconds. "
        "Results so far stay, and the rest can be run again later."
    )


def _of_deleting(count: str, files: str, exports: int) -> str:
    text = f"{count} with {files} and all results: removed for good. Nobody can bring them back."
    if exports:
        text += f" What was built of them goes too: {words.exports(exports)}."
    return text
