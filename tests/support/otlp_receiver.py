"""A collector of traces for tests: a real gRPC server that speaks OTLP and keeps every span, and all bytes, it got."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class Received:
    """One span as it arrived; ids as hexadecimal digits, "" for no parent."""

    service: str
    name: str
    kind: str
    trace: str
    span: str
    parent: str
    attributes: dict[str, Any]
    failed: bool
    started: int
    ended: int


@dataclass
class Collector:
    """What came in so far."""

    endpoint: str = ""
    spans: list[Received] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def Export(self, request: Any, _: Any) -> Any:
        """As the protocol says."""
        with self._lock:
            self.raw.append(request.SerializeToString())
            for group in request.resource_spans:
                service = _attributes(group.resource.attributes)["service.name"]
                self.spans += [_received(service, span) for scope in group.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def named(self, name: str) -> list[Received]:
        """All spans of a name."""
        return [span for span in self.spans if span.name == name]


def _received(service: str, span: Any) -> Received:
    kinds = span.DESCRIPTOR.enum_types_by_name["SpanKind"].values_by_number
    return Received(
        service,
        span.name,
        kinds[span.kind].name.removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        _attributes(span.attributes),
        span.status.code == 2,  # STATUS_CODE_ERROR
        span.start_time_unix_nano,
        span.end_time_unix_nano,
    )


def _attributes(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector on a free port of this machine."""
    server = grpc.server(ThreadPoolExecutor(2))
    receiver = Collector()
    protocol: Any = trace_service_pb2_grpc
    protocol.add_TraceServiceServicer_to_server(receiver, server)
    receiver.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield receiver
    finally:
        server.stop(None)
