"""What stands on a PDF's page without being part of its text: filled-in fields, and comments."""

import ctypes
from collections.abc import Callable, Iterator

import pypdfium2
import pypdfium2.raw as pdfium

MAX_NOTES = 5000
"""Of one page."""
COMMENTS = frozenset(
    {
        *(pdfium.FPDF_ANNOT_TEXT, pdfium.FPDF_ANNOT_FREETEXT, pdfium.FPDF_ANNOT_HIGHLIGHT),
        *(pdfium.FPDF_ANNOT_UNDERLINE, pdfium.FPDF_ANNOT_SQUIGGLY, pdfium.FPDF_ANNOT_STRIKEOUT),
    }
)
CHECKED = frozenset({pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON})
WRITTEN = frozenset(
    {
        pdfium.FPDF_FORMFIELD_TEXTFIELD,
        pdfium.FPDF_FORMFIELD_COMBOBOX,
        pdfium.FPDF_FORMFIELD_LISTBOX,
    }
)


def notes(pdf: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> str:
    """A line for each field that is filled in ("Name: value") and each comment, in their order.

    Fields are known only where `pdf.init_forms()` was called before the page was opened.
    """
    count = pdfium.FPDFPage_GetAnnotCount(page)
    if not count:
        return ""
    return "\n".join(filter(None, _notes(pdf, page, min(count, MAX_NOTES))))


def _notes(pdf: pypdfium2.PdfDocument, page: pypdfium2.PdfPage, count: int) -> Iterator[str]:
    for number in range(count):
        note = pdfium.FPDFPage_GetAnnot(page, number)
        if not note:
            continue
        kind = pdfium.FPDFAnnot_GetSubtype(note)
        if kind == pdfium.FPDF_ANNOT_WIDGET and pdf.formenv:
            yield _field(pdf.formenv, note)
        elif kind in COMMENTS:
            yield _read(pdfium.FPDFAnnot_GetStringValue, note, b"Contents")
        pdfium.FPDFPage_CloseAnnot(note)


def _field(form: pypdfium2.PdfFormEnv, note: pdfium.FPDF_ANNOTATION) -> str:
    kind = pdfium.FPDFAnnot_GetFormFieldType(form, note)
    is_set = kind in CHECKED and pdfium.FPDFAnnot_IsChecked(form, note)
    if not is_set and kind not in WRITTEN:
        return ""
    value = _read(pdfium.FPDFAnnot_GetFormFieldValue, form, note)
    label = _read(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, note) or _read(
        pdfium.FPDFAnnot_GetFormFieldName, form, note
    )
    return value and f"{label}: {value}"


def _read(ask: Callable[..., int], *about: object) -> str:
    """What one of PDFium's functions writes into a buffer, which it is asked the size of first."""
    size = ask(*about, None, 0)
    buffer = (pdfium.FPDF_WCHAR * (size // 2 + 1))()
    ask(*about, buffer, size)
    return ctypes.string_at(buffer, size).decode("utf-16-le", "replace").rstrip("\x00").strip()
