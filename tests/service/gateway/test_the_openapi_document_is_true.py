"""Requests made from the gateway's own OpenAPI document, right and wrong ones, get what the document says."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from service.gateway.gateway_world import World

from posology.gateway.fields import CHAT, COMPLETION

OPERATIONS = [
    ("/v1/chat/completions", "POST"),
    ("/v1/completions", "POST"),
    ("/v1/responses", "POST"),
    ("/v1/models", "GET"),
    ("/v1/models/{model}", "GET"),
]
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
]


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@pytest.mark.parametrize("mode", list(GenerationMode))
async def test_every_answer_is_one_that_the_document_names(
    gateway: World, path: str, method: str, mode: GenerationMode
) -> None:
    """The model is one that answers in half of the requests, so that both sides are seen."""
    document = (await gateway.http.get("/openapi.json")).json()
    operation = schemathesis.openapi.from_dict(document)[path][method]
    statuses = set[int]()

    @settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        if isinstance(case.body, dict) and len(str(case.body)) % 2:
            case.body["model"] = "labels"
        response = case.call(base_url=str(gateway.http.base_url), headers={"Authorization": f"Bearer {gateway.key}"})
        statuses.add(response.status_code)
        case.validate_response(response, checks=CHECKS)

    await asyncio.to_thread(ask)
    assert statuses - {401, 408}, "nothing came past the key"


async def test_the_document_names_every_field_that_is_taken(gateway: World) -> None:
    paths = (await gateway.http.get("/openapi.json")).json()["paths"]
    for path, fields in (("/v1/chat/completions", CHAT), ("/v1/completions", COMPLETION)):
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]
        assert set(fields) <= set(body["properties"])


async def test_nobody_needs_a_key_to_read_it(gateway: World) -> None:
    gateway.http.headers.pop("Authorization")
    assert (await gateway.http.get("/openapi.json")).status_code == 200
