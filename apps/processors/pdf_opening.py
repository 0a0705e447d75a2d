"""Opening a PDF with PDFium, with a password where it needs one."""

import contextlib

import pypdfium2
import pypdfium2.raw as pdfium

from apps.processors.errors import BadDocument


def opened(content: bytes, password: str) -> pypdfium2.PdfDocument:
    """The PDF; `password` may be "".

    Without it first: a PDF that anybody may open refuses a password that is not its own. Raises
    BadDocument "document.encrypted" and "document.password", and PdfiumError for damage.
    """
    _forget_last_error()
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if error.err_code != pdfium.FPDF_ERR_PASSWORD:
            raise
        if not password:
            detail = "The PDF is protected by a password."
            raise BadDocument("document.encrypted", detail) from error
    try:
        return pypdfium2.PdfDocument(content, password=password)
    except pypdfium2.PdfiumError as error:
        if error.err_code != pdfium.FPDF_ERR_PASSWORD:
            raise
        raise BadDocument("document.password", "The password does not open the PDF.") from error


def _forget_last_error() -> None:
    """PDFium refuses some files without saying why; what is asked for then is why it refused the
    file before, perhaps for a password. After this it says that it was damaged."""
    with contextlib.suppress(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(b"no PDF")
