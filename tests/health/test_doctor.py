import json
import socket
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import redis
from django.core.management import call_command
from django.test import override_settings

from apps.health import doctor
from apps.health.doctor import Line
from apps.health.report import Finding
from apps.processors import registry, spawn
from apps.processors.tessdata import languages
from tests.health.test_sandbox import STRONG
from tests.servers import Valkey


def diagnosis() -> tuple[dict[str, Any], int]:
    """The JSON of the command and its exit code."""
    out, code = StringIO(), 0
    try:
        call_command("doctor", "--json", stdout=out)
    except SystemExit as stop:
        code = int(str(stop.code))
    return json.loads(out.getvalue()), code


def found(report: dict[str, Any], section: str, name: str) -> tuple[str, str]:
    (line,) = (line for line in report[section] if line["name"] == name)
    return line["status"], line["detail"]


@pytest.mark.django_db
def test_all_is_well_here(valkey: Valkey) -> None:
    report, code = diagnosis()
    assert (report["broken"], code) == (False, 0)
    assert found(report, "service", "database")[0] == "ok"
    assert found(report, "service", "redis") == ("ok", "valkey, connected")
    assert {line["status"] for line in report["isolation"]} == {"ok"}
    assert len(report["engines"]) == len(registry.processors())
    assert found(report, "engines", "Pdf")[1].startswith("pdf pypdfium2 ")
    assert "pdf" in found(report, "kinds", "extract")[1].split()
    assert found(report, "ocr", "languages") == ("ok", " ".join(languages()))
    assert found(report, "extras", "ClamAV") == ("off", "CLAMAV_URL is not set")


@pytest.mark.django_db
@override_settings(PROCESSORS=[])
def test_the_screen_has_a_line_for_each(valkey: Valkey) -> None:
    out = StringIO()
    call_command("doctor", stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0] == "Service"
    assert any(line.startswith("  ok      database ") for line in lines)
    assert any(line.startswith("  off     not read         pdf ") for line in lines)


@pytest.mark.django_db
def test_what_is_vital_and_broken_makes_the_exit_code(
    valkey: Valkey, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(spawn, "START", "raise SystemExit(1)")
    with socket.create_server(("127.0.0.1", 0)) as server:
        closed = server.getsockname()[1]
    with override_settings(
        DOCMILL_DATA_DIR=tmp_path / "file",
        OCR_LANGUAGES=["xyz"],
        CLAMAV_URL=f"tcp://127.0.0.1:{closed}",
    ):
        report, code = diagnosis()
    assert (report["broken"], code) == (True, 1)
    broken = {
        line["name"]
        for section, lines in report.items()
        if section != "broken"
        for line in lines
        if line["status"] == "broken"
    }
    vital = {"data directory", "reader", "languages", "ClamAV"}
    assert broken == vital | {"jobs.E001", "restore"}  # as the checks and the backups tell it
    assert "xyz" in found(report, "ocr", "languages")[1]


@pytest.mark.once
def test_services_that_fail() -> None:
    findings = {
        "database": Finding("timeout", "postgresql"),
        "redis": Finding("failed", "redis"),
        "monitoring": Finding("disabled", "sentry"),
        "sandbox": Finding("weak", "files"),
    }
    assert [(line.name, line.status) for line in doctor.service_lines(findings)] == [
        ("database", "broken"),
        ("redis", "weak"),
        ("monitoring", "off"),
    ]


@pytest.mark.once
def test_a_missing_layer_is_a_sentence() -> None:
    lines = doctor.isolation_lines(replace(STRONG, network="open"))
    assert [line for line in lines if line.status != "ok"] == [
        Line("network", "weak", "The reader could open network connections.")
    ]
    assert not doctor.is_broken({"Isolation": lines})


@pytest.mark.once
def test_an_engine_that_does_not_load_is_broken() -> None:
    lines = doctor.engine_lines({"a.PdfProcessor": "pdf 1"}, {"b.Tally": "It does not load."})
    assert lines == [Line("Pdf", "ok", "pdf 1"), Line("Tally", "broken", "It does not load.")]


@pytest.mark.once
@pytest.mark.django_db
def test_a_processor_that_does_not_import_is_a_line(valkey: Valkey) -> None:
    with override_settings(PROCESSORS=["no_such_module.Processor"]):
        report, code = diagnosis()
    assert (report["broken"], code) == (True, 1)
    assert found(report, "kinds", "processors")[0] == "broken"
    assert "no_such_module" in found(report, "kinds", "processors")[1]


def test_east_asian_languages_are_optional() -> None:
    assert doctor.east_asian_line(["deu", "eng"]).status == "off"
    assert doctor.east_asian_line(["eng", "jpn_vert"]) == Line("CJK OCR", "ok", "jpn_vert")


@pytest.mark.parametrize(("is_on", "status"), [(True, "ok"), (False, "off")])
def test_so_are_searchable_pdfs(is_on: bool, status: str) -> None:
    with override_settings(SEARCHABLE_PDF=is_on):
        assert doctor.searchable_line().status == status


def test_a_redis_that_forgets_counts_is_told(valkey: Valkey) -> None:
    with redis.Redis.from_url(valkey.url) as client:
        assert doctor.limits_line().status == "ok"
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert doctor.limits_line().status == "ok", "without a bound nothing is forgotten"
        client.config_set("maxmemory", "100mb")
        try:
            line = doctor.limits_line()
        finally:
            client.config_set("maxmemory", "0")
            client.config_set("maxmemory-policy", "noeviction")
    assert line.status == "weak"
    assert "allkeys-lru" in line.detail


@pytest.mark.parametrize(
    ("changes", "status", "words"),
    [
        ({"ENABLE_RATE_LIMITING": False}, "off", "ENABLE_RATE_LIMITING"),
        ({"LIMITS_REDIS_URL": "memory"}, "weak", "by itself"),
        ({"LIMITS_REDIS_URL": "redis://127.0.0.1:1/0"}, "weak", "cannot be reached"),
    ],
)
def test_so_are_limits_that_are_counted_elsewhere(
    changes: dict[str, Any], status: str, words: str
) -> None:
    with override_settings(**changes):
        line = doctor.limits_line()
    assert line.status == status
    assert words in line.detail
