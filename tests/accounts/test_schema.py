import pytest
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

pytestmark = pytest.mark.once


class Anything(APIView):
    @extend_schema(responses={204: None})
    def get(self, request: Request) -> Response:
        return Response(status=204)


def test_the_schema_tells_of_bearer_keys() -> None:
    patterns = [path("anything", Anything.as_view())]

    schema = SchemaGenerator(patterns=patterns).get_schema(request=None, public=True)

    scheme = schema["components"]["securitySchemes"]["apiKey"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert {"apiKey": []} in schema["paths"]["/anything"]["get"]["security"]
