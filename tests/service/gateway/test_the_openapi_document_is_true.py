"""Requests made from the gateway's own OpenAPI document, right and wrong ones, get what the document says."""

import asyncio
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from service.gateway.gateway_world import World

from posology.core.times import utc_now
from posology.gateway.answering import provenance_headers
from posology.gateway.domain import Answer, AnswerKind, Provenance
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


async def test_the_document_names_every_header_that_says_where_an_answer_is_from(gateway: World) -> None:
    paths = (await gateway.http.get("/openapi.json")).json()["paths"]
    named = paths["/v1/chat/completions"]["post"]["responses"]["200"]["headers"]
    answer = Answer(
        id="a", namespace="default", key_id="k", created_at=utc_now(), kind=AnswerKind.CHAT, model="labels",
        deployment="d", agent="", provenance=Provenance("m", "v", "r", "d", "p"), streamed=False, prompt_hash="0",
    )  # fmt: skip
    carried = provenance_headers(answer)
    assert {"x-posology-run", "x-posology-dataset"} <= set(carried) <= set(named)


async def test_an_empty_turn_is_refused_and_the_document_says_so(gateway: World) -> None:
    schema = (await gateway.http.get("/openapi.json")).json()["paths"]["/v1/chat/completions"]["post"]["requestBody"]
    messages = Draft202012Validator(schema["content"]["application/json"]["schema"]["properties"]["messages"])
    parts = [{"type": "text", "text": ""}, {"type": "text", "text": "May I?"}]
    for role, content in (("user", ""), ("user", "  "), ("user", parts[:1]), ("user", parts), ("system", "")):
        turns = [{"role": role, "content": content}, {"role": "user", "content": "And juice?"}]
        answer = await gateway.http.post("/v1/chat/completions", json={"model": "labels", "messages": turns})
        assert messages.is_valid(turns) == (answer.status_code == 200), (role, content)
        if answer.status_code != 200:
            assert answer.json()["error"]["param"] == "messages[0].content"
            assert "must not be empty" in answer.json()["error"]["message"]


async def test_a_route_that_is_not_there_names_all_that_are_and_a_missing_key_how_to_make_one(gateway: World) -> None:
    document = (await gateway.http.get("/openapi.json")).json()
    missing = (await gateway.http.get("/v1/embeddings")).json()["error"]["message"]
    for path in (*document["paths"], "/openapi.json"):
        assert path.replace("/{model}", "") in missing
    gateway.http.headers.pop("Authorization")
    assert "`posology keys create NAME`" in (await gateway.http.get("/v1/models")).json()["error"]["message"]


async def test_nobody_needs_a_key_to_read_it(gateway: World) -> None:
    gateway.http.headers.pop("Authorization")
    assert (await gateway.http.get("/openapi.json")).status_code == 200
