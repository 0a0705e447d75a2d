"""What the library behind the office kinds says of bad input, in our terms."""

import io

import docx
import pytest

from apps.processors.errors import BadDocument
from apps.processors.xberg_reader import XbergReader

pytestmark = pytest.mark.once

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
OLE2 = bytes.fromhex("d0cf11e0a1b11ae1")


@pytest.fixture(scope="module")
def office() -> XbergReader:
    return XbergReader()


def test_text_and_properties_of_a_document_are_read(office: XbergReader) -> None:
    made = docx.Document()
    made.add_paragraph("The lamp is lit at dusk.")
    made.core_properties.title = "Lamp log"
    made.core_properties.author = "A. Keeper"
    buffer = io.BytesIO()
    made.save(buffer)

    read = office.read(buffer.getvalue(), DOCX, "damaged")

    assert "The lamp is lit at dusk." in read.text
    assert read.metadata["title"] == "Lamp log"
    assert read.metadata["author"] == "A. Keeper"


def test_a_damaged_document_is_corrupt_in_the_callers_words(office: XbergReader) -> None:
    with pytest.raises(BadDocument) as refused:
        office.read(b"PK\x03\x04 and no more", DOCX, "The Word file is damaged.")
    assert refused.value.code == "document.corrupt"
    assert refused.value.detail == "The Word file is damaged."
