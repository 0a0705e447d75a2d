"""Pages of a file, as pictures."""

from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.accounts.actor import Actor
from apps.caching.http import conditional
from apps.core.errors import FieldError, InvalidInput, NotFound
from apps.core.filters import refuse_unknown_parameters
from apps.core.negotiation import OneMediaType
from apps.core.schema import CONDITIONAL, refuses
from apps.jobs import previews
from apps.jobs.api.files import UNTRUSTED
from apps.jobs.previews import NoPicture
from apps.jobs.reading import file_of
from apps.processors.pictures import WIDTHS

DEFAULT_WIDTH = 960
KEPT = "private, max-age=3600"
"""By the browser alone, and not for long after somebody signed out."""


class FilePageImage(APIView):
    """A page of a PDF or an image, as a WebP picture to look at.

        curl -o page.webp -H "Authorization: Bearer $KEY" \\
            "$DOCMILL/api/batch/files/$FILE/pages/1/image?width=320"

    `width` is 320, 960 (the default) or 1600 pixels; what is smaller by itself stays so. Other
    kinds of files have no pictures. The first time takes a moment; 503 says when to come back.
    """

    name = "Picture of a page"
    limiters = ("api",)
    content_negotiation_class = OneMediaType

    @extend_schema(
        operation_id="file_page_image",
        parameters=[OpenApiParameter("width", int, enum=WIDTHS, default=DEFAULT_WIDTH)],
        responses={(200, "image/webp"): OpenApiTypes.BINARY, 304: None},
    )
    @refuses(NoPicture, *CONDITIONAL)
    def get(self, request: Request, file_id: UUID, number: int) -> HttpResponse:
        refuse_unknown_parameters(request, frozenset({"width"}))
        width = _width(request.query_params.get("width", str(DEFAULT_WIDTH)))
        file = file_of(Actor.of_request(request), file_id)
        picture = previews.page_picture(file, number=number, width=width)
        try:
            content = picture.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(previews.GONE) from error
        answer = HttpResponse(content, content_type="image/webp", headers=UNTRUSTED)
        # The same bytes are drawn the same, as long as this program is.
        version = settings.SPECTACULAR_SETTINGS["VERSION"]
        answer["ETag"] = etag = f'"{version}-{file.sha256}-{number}-{width}"'
        answer["Cache-Control"] = KEPT
        return conditional(request, answer, etag)


def _width(asked: str) -> int:
    if asked not in map(str, WIDTHS):
        detail = f"width is one of {', '.join(map(str, WIDTHS))}."
        raise InvalidInput(detail, errors=[FieldError("width", "invalid", detail)])
    return int(asked)
