"""The OpenAPI document is valid, and what the API really answers fits it."""

import json
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from rest_framework.test import APIClient

from apps.jobs.models import BatchFile
from tests.jobs.forms import UPLOAD, accepted, body, field, part, post
from tests.jobs.runs import fail_next, read_next

pytestmark = [pytest.mark.once, pytest.mark.django_db]


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    from drf_spectacular.generators import SchemaGenerator

    document = SchemaGenerator().get_schema(request=None, public=True)
    return dict(json.loads(json.dumps(document, default=str)))


def fits(schema: dict[str, Any], answer: Any, verb: str, path: str) -> None:
    """Fails unless `answer` is one that the document describes for that operation."""
    responses = schema["paths"][path][verb.lower()]["responses"]
    assert str(answer.status_code) in responses, (verb, path, answer.status_code)
    described = responses[str(answer.status_code)]
    if "content" not in described:
        assert body(answer) == b""
        return
    media_type = answer["Content-Type"].partition(";")[0]
    content = body(answer)
    assert content
    if "*/*" in described["content"]:
        return
    assert media_type in described["content"], (path, media_type)
    if media_type not in ("application/json", "application/problem+json"):
        return
    inner = described["content"][media_type]["schema"]
    whole = {**inner, "components": schema["components"]}
    found = sorted(Draft202012Validator(whole).iter_errors(json.loads(content)), key=str)
    assert not found, (path, [(error.json_path, error.message) for error in found])


def test_the_document_is_valid_openapi_3_1(schema: dict[str, Any]) -> None:
    assert schema["openapi"].startswith("3.1.")
    assert not list(OpenAPIV31SpecValidator(schema).iter_errors())


def test_it_is_served_to_everybody() -> None:
    answer = Client().get("/api/schema", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert json.loads(answer.content)["info"]["title"] == "Docmill"


def test_every_operation_has_an_id_a_summary_of_its_problems_and_an_authentication(
    schema: dict[str, Any],
) -> None:
    ids = []
    for path, operations in schema["paths"].items():
        for verb, operation in operations.items():
            ids.append(operation["operationId"])
            problems = {s: r for s, r in operation["responses"].items() if s >= "400"}
            assert set(problems) >= {"400", "401", "404", "500", "503"}, (path, verb)
            for problem in problems.values():
                assert list(problem["content"]) == ["application/problem+json"], (path, verb)
            assert operation["description"] or path == "/api/schema"
            if path.startswith("/api/batch"):
                assert {"apiKey": []} in operation["security"]
    assert len(set(ids)) == len(ids)


RESULTS = [f"/results.{name}" for name in ("ndjson", "csv", "xlsx", "md", "zip")]


def test_real_answers_fit_it(schema: dict[str, Any], alice_api: APIClient) -> None:
    upload = post(alice_api, part(), part(b"b", "b.txt"), part(b"", "bad.txt"), field("name", "x"))
    fits(schema, upload, "POST", UPLOAD)
    job = upload.json()
    fits(schema, alice_api.get(job["url"]), "GET", "/api/batch/jobs/{job_id}")
    read_next()
    fail_next()
    of_job = "/api/batch/jobs/{job_id}"
    for path in ("", "/files", *RESULTS):
        fits(schema, alice_api.get(job["url"] + path), "GET", of_job + path)
    fits(schema, alice_api.get("/api/batch/jobs"), "GET", "/api/batch/jobs")
    of_file = "/api/batch/files/{file_id}"
    for file in BatchFile.objects.all():
        for path in ("", "/text", "/result", "/content"):
            answer = alice_api.get(f"/api/batch/files/{file.pk}{path}")
            fits(schema, answer, "GET", of_file + path)
    fits(schema, alice_api.post(job["url"] + "/retry"), "POST", of_job + "/retry")
    fits(schema, alice_api.delete(job["url"]), "DELETE", of_job)
    fits(schema, alice_api.post(job["url"] + "/cancel"), "POST", of_job + "/cancel")
    fits(schema, alice_api.delete(job["url"]), "DELETE", of_job)


def test_real_refusals_fit_it(
    schema: dict[str, Any], alice_api: APIClient, bob_api: APIClient
) -> None:
    job = accepted(alice_api)
    refusals = [
        (APIClient().get("/api/batch/jobs"), "GET", "/api/batch/jobs"),
        (alice_api.get("/api/batch/jobs?limit=0"), "GET", "/api/batch/jobs"),
        (bob_api.delete(job["url"]), "DELETE", "/api/batch/jobs/{job_id}"),
        (alice_api.delete(job["url"]), "DELETE", "/api/batch/jobs/{job_id}"),
        (post(alice_api, part(b"")), "POST", UPLOAD),
        (post(alice_api), "POST", UPLOAD),
    ]
    for answer, verb, path in refusals:
        assert answer.status_code >= 400
        fits(schema, answer, verb, path)


def test_a_job_that_is_tried_out_gets_no_name_by_itself(schema: dict[str, Any]) -> None:
    [form] = schema["paths"][UPLOAD]["post"]["requestBody"]["content"].values()
    name = form["schema"]["$ref"].rpartition("/")[2]
    described = schema["components"]["schemas"][name]
    assert described["properties"]["name"]["default"] == ""
    assert described["properties"]["upload_ids"]["default"] == ""
    assert "required" not in described  # files, or ids of what came in parts


def test_parameters_are_those_that_are_taken(schema: dict[str, Any], alice_api: APIClient) -> None:
    operation = schema["paths"]["/api/batch/jobs"]["get"]
    told = {each["name"] for each in operation["parameters"] if each["in"] == "query"}
    assert told - {"format"} == {
        *("state", "operation", "priority", "name", "created_after", "created_before"),
        *("limit", "cursor"),
    }


def test_choices_are_words_and_no_filter_is_empty(schema: dict[str, Any]) -> None:
    def told(path: str) -> dict[str, Any]:
        return {each["name"]: each["schema"] for each in schema["paths"][path]["get"]["parameters"]}

    jobs, deliveries = told("/api/batch/jobs"), told("/api/webhooks/{endpoint_id}/deliveries")
    assert jobs["priority"] == {"type": "string", "enum": ["high", "low", "normal"]}
    assert jobs["state"]["items"]["type"] == deliveries["event"]["type"] == "string"
    assert jobs["name"] == {"type": "string", "minLength": 1}
    assert jobs["limit"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}
