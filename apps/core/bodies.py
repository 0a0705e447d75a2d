"""Bodies that are read whole before anything looks at them: JSON, and forms that are no uploads."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import MemoryFileUploadHandler
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class ShallowJson(JSONParser):
    """JSON as deep as Python can read it."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None


class NoLargeFiles(MemoryFileUploadHandler):
    """Refuses a form of more than FILE_UPLOAD_MAX_MEMORY_SIZE bytes before it is read.

    Django would write its files to the disk, as much as there is, before anybody knows who sends
    them: every page looks for its token in the form. What takes uploads reads them by itself.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: Any,  # noqa: N803  # Django gives it by this name
        content_length: int,
        boundary: Any,
        encoding: Any = None,
    ) -> None:
        super().handle_raw_input(input_data, META, content_length, boundary, encoding)
        if not self.activated:
            raise RequestDataTooBig("A form of files that nobody asked for.")
