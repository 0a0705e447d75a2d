import sys

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from apps.processors.errors import BadDocument
from apps.processors.registry import languages, operations, processor_path_for
from tests.processors.conftest import FAULTY

pytestmark = pytest.mark.once


class Lacking:
    name = "lacking"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt"})


class Strange:
    name = "strange"
    version = "1"
    operations = frozenset({"extract"})
    accepts = frozenset({"txt", "scroll"})

    def run(self) -> None: ...


def problems(*processors: str) -> list[tuple[str | None, str]]:
    with override_settings(PROCESSORS=list(processors)):
        return [(found.id, found.msg) for found in run_checks(tags=["processors"])]


def test_the_first_that_takes_operation_and_kind_wins() -> None:
    before = processor_path_for("extract", "txt")
    with override_settings(PROCESSORS=[FAULTY, before]):
        assert processor_path_for("extract", "txt") == FAULTY
        assert processor_path_for("extract", "csv") == before
        assert operations() == {"extract"}
    assert processor_path_for("extract", "txt") == before


@pytest.mark.parametrize(("operation", "kind"), [("ocr", "docx"), ("shred", "pdf"), ("ocr", "x")])
def test_what_nobody_takes_is_unsupported(operation: str, kind: str) -> None:
    with pytest.raises(BadDocument) as caught:
        processor_path_for(operation, kind)
    assert caught.value.code == "document.unsupported"


def test_languages_are_those_installed() -> None:
    assert {"eng", "deu"} <= set(languages())
    assert "osd" not in languages()


@override_settings(PROCESSORS=["apps.processors.pdf.PdfProcessor"])
def test_slow_libraries_stay_out_of_the_web_process() -> None:
    """They are loaded where documents are read, in the child."""
    import subprocess

    code = (
        "import apps.processors.pdf, apps.processors.office, apps.processors.text, sys;"
        "print([name for name in ('xberg', 'numpy', 'py3langid') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_the_processors_in_use_pass_the_check() -> None:
    from django.conf import settings

    assert problems(*settings.PROCESSORS) == []


@pytest.mark.parametrize(
    ("path", "id", "says"),
    [
        ("nowhere.at.all.Processor", "processors.E001", "nowhere"),
        ("apps.processors.pdf.Missing", "processors.E001", "Missing"),
        (f"{__name__}.Lacking", "processors.E002", "version, run"),
        (f"{__name__}.Strange", "processors.E003", "scroll"),
    ],
)
def test_an_unusable_entry_is_found_at_start(path: str, id: str, says: str) -> None:  # noqa: A002
    ((found, message),) = problems(path)
    assert found == id
    assert path in message
    assert says in message
