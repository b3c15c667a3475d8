"""The part of tracing that needs OpenTelemetry's SDK; imported only where a collector is named."""

from importlib.metadata import version
from typing import Any

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from posology.core.rpc.context import Place
from posology.core.tracing import Span

_KINDS = {kind.name: kind for kind in SpanKind}
_CLOSE_MILLIS = 3000


class Exporter:
    """Batches spans and sends them by OTLP over gRPC, as the OTEL_ variables say; a collector that is away costs spans.

    The channel is opened with the first span, so that a worker that forks before its end has none open.
    """

    def __init__(self, service: str) -> None:
        name = {"service.name": f"posology-{service}", "service.namespace": "posology"}
        self._resource = Resource.create(name | {"service.version": version("posology")})
        self._scope = InstrumentationScope("posology", version("posology"))
        self._processor: Any = None

    def tell(self, span: Span) -> None:
        """Queue it; a full queue drops it."""
        if self._processor is None:
            self._processor = BatchSpanProcessor(OTLPSpanExporter())
        self._processor.on_end(self._readable(span))

    def close(self) -> None:
        """Send what is queued, or give up."""
        if self._processor is not None:
            self._processor.force_flush(_CLOSE_MILLIS)
            self._processor.shutdown()

    def _readable(self, span: Span) -> ReadableSpan:
        error = {"error.type": span.error} if span.error else {}
        return ReadableSpan(
            name=span.name,
            context=_context(span.place, remote=False),
            parent=_context(Place(span.place.trace, span.parent), remote=True) if span.parent else None,
            resource=self._resource,
            attributes={**span.attributes, **error},
            kind=_KINDS[span.kind],
            status=Status(StatusCode.ERROR if span.error else StatusCode.UNSET),
            start_time=int(span.started * 1e9),
            end_time=int(max(span.started, span.ended) * 1e9),
            instrumentation_scope=self._scope,
        )


def _context(place: Place, *, remote: bool) -> SpanContext:
    return SpanContext(int(place.trace, 16), int(place.span, 16), remote, TraceFlags(TraceFlags.SAMPLED))
