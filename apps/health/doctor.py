"""What works on this machine and what does not, line by line, for `manage.py doctor`."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings

from apps.health import probes, promises
from apps.health.configuration import configuration_lines
from apps.health.lines import Line
from apps.health.report import Finding
from apps.jobs import antivirus, storage
from apps.jobs.errors import StorageFull, StorageUnavailable
from apps.processors import registry
from apps.processors.errors import Unavailable
from apps.processors.host import Isolation, ProcessorHost
from apps.processors.kinds import KINDS
from apps.processors.protocol import Processor
from apps.queue import findings
from apps.queue.findings import BROKEN, OK, WEAK
from apps.ratelimits.redis_store import RedisStore
from apps.ratelimits.stores import store

OFF = "off"

ASKED = ("database", "redis", "monitoring")

LITTLE_ROOM_BYTES = 1024**3
EAST_ASIAN = {"jpn": "Japanese", "chi_sim": "Chinese", "chi_tra": "Chinese", "kor": "Korean"}


Report = Mapping[str, Sequence[Line | findings.Finding]]


def examine(found: promises.Findings) -> Report:
    """Looks at this machine, with a real reader started as a worker does, which takes a few
    seconds; with what was found of rows and bytes."""
    return {
        "Service": [
            *service_lines(probes.findings()),
            limits_line(),
            *_disk_lines(),
        ],
        "Configuration": configuration_lines(),
        **_reader(),
        "Kinds": _kind_lines(),
        "OCR": ocr_lines(registry.languages(), settings.OCR_LANGUAGES),
        "Extras": [
            _antivirus_line(),
            east_asian_line(registry.languages()),
            searchable_line(),
        ],
        **found,
    }


def is_broken(report: Report) -> bool:
    """Whether something fails that the service cannot do without."""
    return any(line.status == BROKEN for lines in report.values() for line in lines)


def as_json(report: Report) -> dict[str, list[dict[str, Any]]]:
    """By the title of each section, in lower case: its lines with all that is known."""
    return {
        title.lower(): [{**asdict(line), "detail": line.detail} for line in lines]
        for title, lines in report.items()
    }


def as_text(report: Report) -> str:
    """One screen: a title per section, a line per finding."""
    text = []
    for title, lines in report.items():
        text.append(title)
        text += [f"  {line.status:<7} {line.name:<16} {line.detail}".rstrip() for line in lines]
    return "\n".join(text)


def service_lines(findings: Mapping[str, Finding]) -> list[Line]:
    """Of the probes of `/health`; the database is vital. The others have lines of their own."""
    lines = []
    for name, finding in findings.items():
        if name in ASKED:
            bad = BROKEN if name == "database" else WEAK
            good = OFF if finding.status == "disabled" else OK
            status = good if finding.is_good() else bad
            lines.append(Line(name, status, f"{finding.type}, {finding.status}"))
    return lines


def limits_line() -> Line:
    """Where limits are counted, and whether the counts last."""
    if not settings.ENABLE_RATE_LIMITING:
        return Line("rate limits", OFF, "ENABLE_RATE_LIMITING is false")
    if store().redis is None:
        return Line("rate limits", WEAK, "each process counts by itself: LIMITS_REDIS_URL")
    policy = store().ask(RedisStore.eviction)
    if policy is None:
        return Line("rate limits", WEAK, "Redis cannot be reached: each process counts by itself")
    if policy:
        advice = "set maxmemory-policy to noeviction, or name another by LIMITS_REDIS_URL"
        return Line("rate limits", WEAK, f"Redis forgets counts when full ({policy}): {advice}")
    return Line("rate limits", OK, "counted in Redis, which keeps them")


def isolation_lines(isolation: Isolation) -> list[Line]:
    """A line per layer; where one is missing, what that allows."""
    layers = {
        "user": isolation.user,
        "network": isolation.network,
        "processes": isolation.processes,
        "files": isolation.files,
        "memory": isolation.memory,
        "worker's death": isolation.parents_death,
    }
    missing = isolation.missing
    return [
        Line(layer, WEAK if layer in missing else OK, missing.get(layer, how))
        for layer, how in layers.items()
    ]


def engine_lines(engines: Mapping[str, str], failures: Mapping[str, str]) -> list[Line]:
    """By the name of the processor's class; both come by dotted path."""
    loaded = [Line(_class_name(path), OK, engine) for path, engine in engines.items()]
    return loaded + [Line(_class_name(path), BROKEN, why) for path, why in failures.items()]


def kind_lines(processors: Mapping[str, type[Processor]]) -> list[Line]:
    """The kinds per operation, and those that nothing reads."""
    offered: dict[str, set[str]] = {}
    for processor in processors.values():
        for operation in processor.operations:
            offered.setdefault(operation, set()).update(processor.accepts)
    lines = [
        Line(operation, OK, _listed(kind for kind in KINDS if kind in kinds))
        for operation, kinds in sorted(offered.items())
    ]
    unread = [kind for kind in KINDS if not any(kind in kinds for kinds in offered.values())]
    return lines + ([Line("not read", OFF, _listed(unread))] if unread else [])


def _kind_lines() -> list[Line]:
    try:
        return kind_lines(registry.processors())
    except Exception as error:  # noqa: BLE001 (a plug-in's module may raise anything)
        return [Line("processors", BROKEN, f"one of PROCESSORS does not import: {error}")]


def ocr_lines(installed: Iterable[str], wanted: Iterable[str]) -> list[Line]:
    """`wanted` are the languages used where a job names none."""
    found = list(installed)
    lacking = [code for code in wanted if code not in found]
    if lacking:
        detail = f"no language data for {_listed(lacking)}; set OCR_LANGUAGES or install it"
        return [Line("languages", BROKEN, detail)]
    return [Line("languages", OK, _listed(found))]


def east_asian_line(installed: Iterable[str]) -> Line:
    found = [code for code in installed if code.removesuffix("_vert") in EAST_ASIAN]
    if found:
        return Line("CJK OCR", OK, _listed(found))
    return Line("CJK OCR", OFF, "install tesseract-ocr-jpn, -chi-sim, -chi-tra or -kor")


def searchable_line() -> Line:
    if settings.SEARCHABLE_PDF:
        return Line("searchable PDF", OK, "made wherever OCR reads a page")
    return Line("searchable PDF", OFF, "SEARCHABLE_PDF is not set")


def _antivirus_line() -> Line:
    """A scanner that is wanted and away stops all reading, unless that is allowed to go on."""
    try:
        version = antivirus.ping()
    except Unavailable as error:
        return Line("ClamAV", WEAK if settings.CLAMAV_FAIL_OPEN else BROKEN, error.detail)
    return Line("ClamAV", OK, version) if version else Line("ClamAV", OFF, "CLAMAV_URL is not set")


def _disk_lines() -> list[Line]:
    try:
        storage.check_room(0)
        data = Line("data directory", OK, _free(settings.DOCMILL_DATA_DIR))
    except (StorageFull, OSError) as error:
        data = Line("data directory", BROKEN, str(error))
    scratch = Path(tempfile.gettempdir())
    has_little = shutil.disk_usage(scratch).free < LITTLE_ROOM_BYTES
    return [
        data,
        *_bucket_lines(),
        Line("temporary files", WEAK if has_little else OK, _free(scratch)),
    ]


def _bucket_lines() -> list[Line]:
    if not settings.STORAGE_URL:
        return []
    try:
        storage.ask()
    except StorageUnavailable as error:
        return [Line("bucket", BROKEN, error.detail)]
    return [Line("bucket", OK, "answers")]


def _free(folder: Path) -> str:
    return f"{shutil.disk_usage(folder).free / 1024**3:.1f} GB free in {folder}"


def _reader() -> dict[str, list[Line]]:
    """What a reader with all processors says of itself."""
    host = ProcessorHost(settings.PROCESSORS)
    try:
        isolation = host.start(settings.PROCESSING_MEMORY_BYTES)
        return {
            "Isolation": isolation_lines(isolation),
            "Engines": engine_lines(host.engines, host.failures),
        }
    except Unavailable as error:
        return {"Isolation": [Line("reader", BROKEN, error.detail)]}
    finally:
        host.close()


def _class_name(path: str) -> str:
    return path.rpartition(".")[2].removesuffix("Processor")


def _listed(words: Iterable[str]) -> str:
    return " ".join(words)
