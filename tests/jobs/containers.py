"""Jobs with containers, opened by the test's own hand or by the real processors."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from apps.accounts.models import Organization
from apps.jobs import members, storage
from apps.jobs.handler import BatchFileHandler
from apps.jobs.models import BatchFile, BatchJob
from apps.jobs.services import Submission, submit_job
from apps.jobs.upload import receive_paths
from apps.processors.protocol import Extraction, Member, Options, Page
from apps.queue.handlers import Output
from apps.queue.models import Priority
from apps.queue.settle import succeed
from tests.batches import Scripted, claimed, owner_of

Files = Mapping[str, bytes]


def zipped(files: Files) -> bytes:
    """A ZIP of `files` (name -> content), in their order."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        for name, data in files.items():
            bundle.writestr(name, data)
    return content.getvalue()


def zip_of(*texts: str) -> bytes:
    return zipped({f"{number}.txt": text.encode() for number, text in enumerate(texts, 1)})


def submit_files(
    organization: Organization,
    files: Files,
    *,
    operation: str = "extract",
    options: Options | None = None,
    priority: Priority = Priority.HIGH,
) -> BatchJob:
    """A job of the organization's owner with these files (name -> content), byte for byte."""
    submission = Submission(operation=operation, options=options or Options(), priority=priority)
    with TemporaryDirectory() as folder, storage.incoming() as directory:
        paths = [Path(folder, name) for name in files]
        for path, content in zip(paths, files.values(), strict=True):
            path.write_bytes(content)
        received = list(receive_paths(paths, directory))
        return submit_job(actor=owner_of(organization), submission=submission, files=received)


def opened(handler: Scripted, file: BatchFile, files: Files, text: str = "") -> Output:
    """What a run gives back that found `files` in `file`."""
    folder = handler._folder()
    found = []
    for number, (name, content) in enumerate(files.items(), 1):
        path = folder / str(number)
        path.write_bytes(content)
        found.append(Member(name, str(path)))
    page = Page(number=1, text=text)
    extraction = Extraction(
        pages=(page,) if text else (), kind=file.kind, engine="script", members=tuple(found)
    )
    received = members.receive(file.job.operation, found)
    return Output(handler._store(extraction, received))


def open_next(files: Files, *, text: str = "", lane: str = "default") -> BatchFile:
    """The best file of the lane, in which `files` are found."""
    file = claimed(lane)
    assert succeed(BatchFileHandler, file, opened(Scripted(), file, files, text))
    return file
