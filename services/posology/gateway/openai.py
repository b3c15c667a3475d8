"""How the OpenAI API says things: error bodies, model lists, and what its answers and stream events hold."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from starlette.responses import JSONResponse

from posology.core.errors import PosologyError
from posology.gateway.domain import (
    AnswerKind,
    BodyTooLarge,
    BodyTooSlow,
    ContextTooLong,
    EngineLost,
    ModelNotFound,
    NoEngine,
    Provenance,
    RateLimited,
    Route,
    WrongMediaType,
    WrongMethod,
)

# gRPC status -> (HTTP status, OpenAI's `type`); what is not listed is a defect of ours.
_KINDS: Mapping[grpc.StatusCode, tuple[int, str]] = {
    grpc.StatusCode.INVALID_ARGUMENT: (400, "invalid_request_error"),
    grpc.StatusCode.UNAUTHENTICATED: (401, "authentication_error"),
    grpc.StatusCode.PERMISSION_DENIED: (403, "permission_error"),
    grpc.StatusCode.NOT_FOUND: (404, "invalid_request_error"),
    grpc.StatusCode.RESOURCE_EXHAUSTED: (429, "rate_limit_error"),
    grpc.StatusCode.UNAVAILABLE: (503, "service_unavailable"),
    grpc.StatusCode.DEADLINE_EXCEEDED: (504, "timeout"),
}
_CODES: Mapping[type[PosologyError], str] = {
    ModelNotFound: "model_not_found",
    ContextTooLong: "context_length_exceeded",
    RateLimited: "rate_limit_exceeded",
    NoEngine: "no_engine_ready",
    EngineLost: "engine_lost",
    BodyTooLarge: "body_too_large",
    BodyTooSlow: "body_too_slow",
    WrongMediaType: "unsupported_media_type",
    WrongMethod: "method_not_allowed",
}
# Where HTTP has a status of its own for what gRPC calls INVALID_ARGUMENT.
_STATUSES: Mapping[type[PosologyError], int] = {
    BodyTooSlow: 408,
    BodyTooLarge: 413,
    WrongMediaType: 415,
    WrongMethod: 405,
}


def http_status(error: PosologyError) -> int:
    """The HTTP status that says the same as the error's class."""
    return _STATUSES.get(type(error)) or _KINDS.get(error.grpc_status, (500, ""))[0]


def error_body(error: PosologyError) -> dict[str, Any]:
    """OpenAI's error object; `param` is the first field at fault."""
    _, kind = _KINDS.get(error.grpc_status, (500, "server_error"))
    param = error.violations[0].field if error.violations else None
    return {"error": {"message": error.message, "type": kind, "param": param, "code": _CODES.get(type(error))}}


def error_response(error: PosologyError) -> JSONResponse:
    wait = getattr(error, "retry_after", None)
    headers = {"Retry-After": str(wait)} if wait is not None else {}
    if isinstance(error, WrongMethod):
        headers["Allow"] = error.allowed
    if error.grpc_status is grpc.StatusCode.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(error_body(error), status_code=http_status(error), headers=headers)


def error_event(error: PosologyError) -> bytes:
    """The stream event that tells a client its answer is not whole; no `[DONE]` follows it."""
    return b"data: " + json.dumps(error_body(error)).encode() + b"\n\n"


def model_list(routes: tuple[Route, ...]) -> dict[str, Any]:
    return {"object": "list", "data": [model_card(route) for route in routes]}


def model_card(route: Route) -> dict[str, Any]:
    """One model as `/v1/models` shows it, with where its weights come from."""
    return {
        "id": route.model,
        "object": "model",
        "created": min((b.created for b in route.backends), default=0),
        "owned_by": "posology",
        "max_model_len": min((b.max_model_length for b in route.backends), default=0),
        "ready": route.ready,
        "backends": [
            {"deployment": b.deployment, "weight": b.weight, **_digests(b.provenance)} for b in route.backends
        ],
    }


def _digests(provenance: Provenance) -> dict[str, str]:
    return {"model": provenance.model_digest, "verdict": provenance.verdict_digest}


@dataclass
class ResponseAccumulator:
    """What an engine said so far, gathered from one body or from the events of a stream."""

    kind: AnswerKind
    texts: dict[int, list[str]] = field(default_factory=dict)
    finish: dict[int, str] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def listen(self, message: Mapping[str, Any]) -> None:
        """Take in one body or one event."""
        for choice in message.get("choices") or ():
            self._choice(choice)
        if usage := message.get("usage"):
            self.prompt_tokens = usage.get("prompt_tokens") or 0
            self.completion_tokens = usage.get("completion_tokens") or 0

    def _choice(self, choice: Mapping[str, Any]) -> None:
        index = choice.get("index", 0)
        text = self._said(choice)
        if text:
            self.texts.setdefault(index, []).append(text)
        if reason := choice.get("finish_reason"):
            self.finish[index] = reason

    def _said(self, choice: Mapping[str, Any]) -> str | None:
        if self.kind is AnswerKind.COMPLETION:
            return choice.get("text")
        return (choice.get("message") or choice.get("delta") or {}).get("content")

    @property
    def text(self) -> str:
        """The answer; several choices are joined by the record separator U+001E."""
        return "\x1e".join("".join(self.texts[i]) for i in sorted(self.texts))

    @property
    def finish_reason(self) -> str:
        return ",".join(self.finish[i] for i in sorted(self.finish))

    @property
    def cut(self) -> bool:
        """Whether the engine stopped in the middle: vLLM says 200 and "abort" when it is shut down."""
        return "abort" in self.finish.values()
