"""The OpenAPI document of the application API, made from the checks that requests go through.

https://spec.openapis.org/oas/v3.1.1. Fields that are not listed are refused by name unless they ask for nothing (null,
empty, or what happens anyway), as clients fill in many; that is more than a schema says, so schemas stay open.
"""

from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from posology.gateway import messages
from posology.gateway.domain import AnswerKind
from posology.gateway.fields import IGNORED, REFUSED, Check, labels, number, text, whole
from posology.gateway.requests import FIELDS

Object = dict[str, Any]
_TEXT: Object = {"type": "string"}
_FILLED: Object = {"type": "string", "minLength": 1, "pattern": messages.SAYS_SOMETHING}
_EVENT: Object = {"type": "object", "required": ["data"], "properties": {"data": _TEXT, "event": _TEXT}}
_COUNT: Object = {"type": "integer", "minimum": 0}
_ALWAYS = (401, 429, 500, 503)
_ASKING = (400, 404, 408, 413, 415, *_ALWAYS)
_HEADERS: Mapping[str, str] = {
    "x-request-id": "Names this request in the gateway's log.",
    "x-posology-answer": "Names the answer's record: `posology explain` takes it.",
    "x-posology-deployment": "Which deployment answered.",
    "x-posology-model-digest": "The weights.",
    "x-posology-verdict": "Digest of the verdict that released them.",
    "x-posology-policy": "The release policy that the verdict meets.",
    "x-posology-run": "The run that made the weights.",
    "x-posology-dataset": "Digest of the data that they were tuned on.",
}


@cache
def document() -> Object:
    """OpenAPI 3.1; the same for every caller."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Posology",
            "version": version("posology"),
            "description": "The part of the OpenAI API that released models answer.",
        },
        "security": [{"key": []}],
        "paths": {
            "/v1/chat/completions": {"post": _asks("createChatCompletion", _chat(), _completion("chat.completion"))},
            "/v1/completions": {"post": _asks("createCompletion", _prompt(), _completion("text_completion"))},
            "/v1/responses": {"post": _asks("createResponse", _response_request(), _response())},
            "/v1/models": {"get": _reads("listModels", _list_of(_model()), *_ALWAYS)},
            "/v1/models/{model}": {
                "get": {
                    **_reads("retrieveModel", _model(), 404, *_ALWAYS),
                    "parameters": [
                        {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
                    ],
                }
            },
        },
        "components": {
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "posology keys create NAME"}
            },
            "schemas": {"Error": _error()},
        },
    }


# --- what is asked ---------------------------------------------------------------------------------


def _chat() -> Object:
    fields = {"messages": _messages(), **_properties(FIELDS[AnswerKind.CHAT])}
    return _request(fields, "model", "messages")


def _prompt() -> Object:
    return _request(_properties(FIELDS[AnswerKind.COMPLETION]), "model", "prompt")


def _response_request() -> Object:
    fields = _properties(
        {
            "model": text,
            "instructions": text,
            "max_output_tokens": whole(1, 2**31 - 1),
            "temperature": number(0, 2),
            "top_p": number(1e-6, 1),
            "metadata": labels,
        }
    )
    words = {"anyOf": [_FILLED, _messages()]}
    return _request({"input": words, **fields, "stream": {"type": ["boolean", "null"]}}, "model", "input")


def _request(properties: Object, *required: str) -> Object:
    """Fields that are refused whatever they hold are named, for who wonders why."""
    why = "; ".join(f"{name} ({reason})" for name, reason in sorted(REFUSED.items()))
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "description": f"Refused when they ask for something: {why}.",
    }


def _properties(checks: Mapping[str, Check]) -> Object:
    """What is null asks for nothing, but a model and a prompt are needed."""
    return {
        name: dict(check.schema) if name in ("model", "prompt") else {"anyOf": [check.schema, {"type": "null"}]}
        for name, check in {**checks, **IGNORED}.items()
    }


def _messages() -> Object:
    part = {
        "type": "object",
        "required": ["type", "text"],
        "properties": {"type": {"const": "text"}, "text": _TEXT},
    }
    parts: Object = {"type": "array", "minItems": 1, "items": part}
    filled = {**parts, "contains": {"type": "object", "properties": {"text": _FILLED}}}
    other = [role for role in messages.ROLES if role != "user"]
    return {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [
                _message({"const": "user"}, {"anyOf": [_FILLED, filled]}),
                _message({"enum": other}, {"anyOf": [_TEXT, parts]}),
            ]
        },
    }


def _message(role: Object, content: Object) -> Object:
    return {"type": "object", "required": ["role", "content"], "properties": {"role": role, "content": content}}


# --- what is answered ------------------------------------------------------------------------------


def _asks(name: str, request: Object, answer: Object) -> Object:
    operation = _reads(name, answer, *_ASKING)
    operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": request}}}
    operation["responses"]["200"]["content"]["text/event-stream"] = {"schema": _EVENT}
    return operation


def _reads(name: str, answer: Object, *errors: int) -> Object:
    return {
        "operationId": name,
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": {header: {"description": what, "schema": _TEXT} for header, what in _HEADERS.items()},
                "content": {"application/json": {"schema": answer}},
            },
            **{str(status): _failure(status) for status in sorted(errors)},
        },
    }


def _failure(status: int) -> Object:
    waits = {"Retry-After": {"description": "Seconds.", "schema": _TEXT}} if status in (429, 503) else {}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {"description": HTTPStatus(status).phrase, "content": content} | ({"headers": waits} if waits else {})


def _completion(kind: str) -> Object:
    return _object(
        object={"const": kind},
        id=_TEXT,
        created=_COUNT,
        model=_TEXT,
        choices={"type": "array", "items": {"type": "object", "required": ["index", "finish_reason"]}},
        usage=_object(prompt_tokens=_COUNT, completion_tokens=_COUNT, total_tokens=_COUNT),
    )


def _response() -> Object:
    return _object(
        object={"const": "response"},
        id=_TEXT,
        created_at=_COUNT,
        model=_TEXT,
        status={"enum": ["completed", "incomplete"]},
        output={"type": "array", "items": {"type": "object"}},
        usage=_object(input_tokens=_COUNT, output_tokens=_COUNT, total_tokens=_COUNT),
    )


def _model() -> Object:
    backend = _object(deployment=_TEXT, weight=_COUNT, model=_TEXT, verdict=_TEXT)
    return _object(
        id=_TEXT,
        object={"const": "model"},
        created=_COUNT,
        owned_by=_TEXT,
        max_model_len=_COUNT,
        ready={"type": "boolean"},
        backends={"type": "array", "items": backend},
    )


def _list_of(item: Object) -> Object:
    return _object(object={"const": "list"}, data={"type": "array", "items": item})


def _error() -> Object:
    maybe = {"type": ["string", "null"]}
    return _object(error=_object(message=_TEXT, type=_TEXT, param=maybe, code=maybe))


def _object(**properties: Object) -> Object:
    return {"type": "object", "required": list(properties), "properties": properties}
