"""What the gateway counts, beside the gRPC metrics of every service."""

from prometheus_client import Counter, Gauge, Histogram

from posology.core.telemetry import REGISTRY
from posology.gateway.domain import Answer, AnswerState

REQUESTS = Counter(
    "posology_gateway_requests", "HTTP requests by path and status.", ("path", "status"), registry=REGISTRY
)
IN_FLIGHT = Gauge("posology_gateway_in_flight", "Requests to models being answered now.", registry=REGISTRY)
ANSWERS = Counter(
    "posology_gateway_answers", "Answers by deployment and how they ended.", ("deployment", "state"), registry=REGISTRY
)
CUT = Counter(
    "posology_gateway_cut",
    "Answers that did not come to their end, because an engine or this gateway went away.",
    registry=REGISTRY,
)
SECONDS = Histogram(
    "posology_gateway_answer_seconds",
    "From the arrival of a request to the end of its answer.",
    ("deployment",),
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
    registry=REGISTRY,
)
TOKENS = Counter("posology_gateway_tokens", "Tokens by deployment.", ("deployment", "kind"), registry=REGISTRY)
ROUTES_STALE = Gauge(
    "posology_gateway_routes_stale",
    "1 while the serving service is away and the last snapshot serves on.",
    registry=REGISTRY,
)


def observe(answer: Answer) -> None:
    """Count an answer that has ended."""
    ANSWERS.labels(answer.deployment, answer.state).inc()
    CUT.inc(answer.state is AnswerState.FAILED)
    SECONDS.labels(answer.deployment).observe(answer.latency_ms / 1000)
    TOKENS.labels(answer.deployment, "prompt").inc(answer.prompt_tokens)
    TOKENS.labels(answer.deployment, "completion").inc(answer.completion_tokens)
