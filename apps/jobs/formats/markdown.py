"""Markdown: one document to read, with a chapter for every file.

What strangers wrote stands in fenced blocks, in which nothing is markup: no link, no picture and no
HTML of a document comes to life in whatever shows it.
"""

import re
from collections.abc import Iterator

from apps.jobs.contents import Contents, Entry, Section
from apps.jobs.formats.format import Format

SHORTEST_FENCE = 3
BACKTICKS = re.compile("`+")
SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:])")


def write(contents: Contents) -> Iterator[bytes]:
    section = None
    for entry in contents.entries():
        if entry.section is not section:
            section = entry.section
            yield _opening(section).encode()
        yield _heading(entry).encode()
        yield from _text(entry)


def plain(text: str) -> str:
    """One line in which nothing is markup."""
    return SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _opening(section: Section) -> str:
    job = section.job
    until = "kept" if job.is_kept else f"{job.expires_at:%Y-%m-%d %H:%M} UTC"
    facts = [
        f"Job: {job.id}",
        f"Operation: {job.operation}",
        f"State: {job.state}",
        f"Files: {len(section.files)}",
        f"Results until: {until}",
    ]
    if not section.is_complete:
        facts.append("**Not complete: the job was still running when this was made.**")
    listed = "\n".join(f"- {fact}" for fact in facts)
    return f"# {plain(job.name) or job.id}\n\n{listed}\n"


def _heading(entry: Entry) -> str:
    file, result, error = entry.file, entry.result, entry.error
    facts = [f"State: {file.state}"]
    if result is not None:
        facts.append(f"Pages: {result.pages}, words: {result.words}")
        facts += [f"Language: {result.language}"] if result.language else []
        facts += [f"Warning: {plain(warning)}" for warning in result.warnings]
    if error is not None:
        facts.append(f"Error: `{error['code']}` {plain(error['detail'])} {plain(error['advice'])}")
    listed = "\n".join(f"- {fact}" for fact in facts)
    return f"\n## {file.position}\\. {plain(file.name)}\n\n{listed}\n"


def _text(entry: Entry) -> Iterator[bytes]:
    """The pages, each in a block of its own."""
    if entry.result is None:
        return
    for page in entry.pages():
        text = str(page["text"])
        fence = fence_for(text)
        label = f": {plain(str(page['label']))}" if page.get("label") else ""
        yield f"\n### Page {page['number']}{label}\n\n{fence}text\n{text}\n{fence}\n".encode()


def fence_for(text: str) -> str:
    """A line that ends no sooner than the text: longer than any run of backticks in it."""
    longest = max((len(run) for run in BACKTICKS.findall(text)), default=0)
    return "`" * max(SHORTEST_FENCE, longest + 1)


FORMAT = Format(
    name="md",
    label="Markdown",
    media_type="text/markdown; charset=utf-8",
    about="One document to read, with a chapter for each file.",
    write=write,
    icon="file",
)
