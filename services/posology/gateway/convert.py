"""Protobuf <-> domain; the only file that knows both."""

from collections.abc import Iterable
from datetime import datetime

from posology.core import names
from posology.core.times import from_timestamp, to_timestamp
from posology.gateway.domain import (
    Answer,
    AnswerState,
    ApiKey,
    Backend,
    Endpoint,
    KeyLimits,
    Provenance,
    Route,
    Snapshot,
)
from posology.v1alpha1 import gateway_pb2 as pb
from posology.v1alpha1 import serving_pb2

_STATES = {
    AnswerState.RUNNING: pb.Answer.RUNNING,
    AnswerState.COMPLETE: pb.Answer.COMPLETE,
    AnswerState.CLIENT_LEFT: pb.Answer.CLIENT_LEFT,
    AnswerState.FAILED: pb.Answer.FAILED,
    AnswerState.LOST: pb.Answer.LOST,
}


def limits_from_proto(request: pb.CreateApiKeyRequest) -> KeyLimits:
    return KeyLimits(
        requests_per_minute=request.requests_per_minute,
        concurrent_requests=request.concurrent_requests,
        max_tokens=request.max_tokens,
    )


def expiry_from_proto(request: pb.CreateApiKeyRequest) -> datetime | None:
    if not request.HasField("expire_time"):
        return None
    return from_timestamp(request.expire_time)


def key_to_proto(key: ApiKey, *, secret: str = "") -> pb.ApiKey:
    return pb.ApiKey(
        name=key.name,
        display_name=key.display_name,
        prefix=key.prefix,
        secret=secret,
        requests_per_minute=key.limits.requests_per_minute,
        concurrent_requests=key.limits.concurrent_requests,
        max_tokens=key.limits.max_tokens,
        create_time=to_timestamp(key.created_at),
        revoke_time=to_timestamp(key.revoked_at),
        expire_time=to_timestamp(key.expires_at),
    )


def answer_to_proto(answer: Answer) -> pb.Answer:
    return pb.Answer(
        name=answer.name,
        deployment=answer.deployment,
        model=answer.provenance.model_digest,
        verdict=answer.provenance.verdict_digest,
        run=answer.provenance.run,
        dataset=answer.provenance.dataset,
        api_key=f"namespaces/{answer.namespace}/apiKeys/{answer.key_id}",
        prompt=answer.prompt or "",
        text=answer.text or "",
        prompt_sha256=answer.prompt_hash.removeprefix("sha256:"),
        text_sha256=answer.answer_hash.removeprefix("sha256:"),
        finish_reason=answer.finish_reason,
        prompt_tokens=answer.prompt_tokens,
        completion_tokens=answer.completion_tokens,
        create_time=to_timestamp(answer.created_at),
        state=_STATES[answer.state],
        model_name=answer.model,
        streamed=answer.streamed,
        latency_ms=answer.latency_ms,
        erase_time=to_timestamp(answer.erased_at),
    )


def snapshot_from_proto(table: serving_pb2.RouteTable) -> Snapshot:
    """Routes come one per deployment; clients know model names, so they are grouped by those."""
    grouped: dict[tuple[str, str], list[Backend]] = {}
    for route in table.routes:
        namespace = names.parse(route.deployment, "deployments", field="deployment").namespace
        grouped.setdefault((namespace, route.model_name), []).append(_backend(route))
    routes = (Route(namespace, model, tuple(backends)) for (namespace, model), backends in sorted(grouped.items()))
    return Snapshot(version=table.version, routes=tuple(routes))


def _backend(route: serving_pb2.Route) -> Backend:
    return Backend(
        deployment=route.deployment,
        provenance=Provenance(route.model, route.verdict, route.run, route.dataset, route.policy),
        max_model_length=route.max_model_len,
        weight=route.traffic_percent,
        endpoints=_endpoints(route.agents, route.token),
        created=route.create_time.seconds,
    )


def _endpoints(agents: Iterable[str], token: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(url=agent.rstrip("/"), token=token) for agent in agents)
