"""Traces by OpenTelemetry, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; without it nothing is imported or kept.

One trace belongs to one run: the call that submits it, its stages, the calls to services that change something, jobs,
and their workers. Spans that outlive processes (a run, a stage, a job) have ids that derive from what they are, and are
told once, by whoever saw the end; so their children may be told long before, by others. A span holds names, digests,
counts and classes of errors: never a message, a prompt or a row, which may quote a label or a secret.
"""

import hashlib
import logging
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Self

from posology.core.rpc import context

if TYPE_CHECKING:
    from posology.core.tracing_export import Exporter

log = logging.getLogger("posology.tracing")

VARIABLE = "TRACEPARENT"
"""Where a process finds the span that started it, as OpenTelemetry names it."""
_READS = ("Get", "List", "Watch", "Next", "Find", "Trace", "Plan", "Inspect", "Check", "ServerReflection")
"""Methods that start so change nothing: pollers would drown the rest."""
Attributes = Mapping[str, str | int | bool]
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class Kind(StrEnum):
    """What a span stands for, in OpenTelemetry's words."""

    INTERNAL = "INTERNAL"
    SERVER = "SERVER"
    CLIENT = "CLIENT"


@dataclass(frozen=True)
class Span:
    """What is told of one span; times are seconds since the epoch, `error` the class of what went wrong or ""."""

    name: str
    kind: Kind
    place: context.Place
    parent: str
    """Id of the span above; "" for the first one of a trace."""
    started: float
    ended: float
    attributes: Attributes
    error: str = ""


_exporter: "Exporter | None" = None


def on() -> bool:
    """Whether this process tells spans."""
    return _exporter is not None


def configure(service: str) -> None:
    """Tell spans as `posology-<service>` from now on, if the environment names a collector."""
    global _exporter
    if _exporter is not None or not any(map(os.environ.get, _ENDPOINTS)):
        return
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return
    protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), "grpc")
    if protocol != "grpc":
        log.warning("no traces: OTEL_EXPORTER_OTLP_PROTOCOL must be grpc", extra={"protocol": protocol})
        return
    from posology.core.tracing_export import Exporter

    _exporter = Exporter(service)


def close() -> None:
    """Send what is left, within seconds, and tell nothing more. Blocking."""
    global _exporter
    if _exporter is not None:
        _exporter.close()
        _exporter = None


def tell(span: Span) -> None:
    """Hand a span that ended to the exporter; never blocks, never raises."""
    if _exporter is not None and span.place.trace and span.place.sampled:
        _exporter.tell(span)


def derived(*words: object) -> str:
    """The id of a span that stands for something with a name: the same in every process."""
    return hashlib.sha256("\0".join(map(str, words)).encode()).hexdigest()[:16]


def only_reads(method: str) -> bool:
    """Whether calls of `package.Service/Method` change nothing."""
    return method.rpartition("/")[2].startswith(_READS)


def is_told(method: str) -> bool:
    """Whether calls of `package.Service/Method` are spans: those of our services that change something."""
    return method.startswith("posology.") and not only_reads(method)


class Call:
    """A call that is being served or made; what happens within it is below it.

    `with` is not used: a call's span ends in other places than where it begins.
    """

    __slots__ = ("_kind", "_method", "_parent", "_started", "place")

    def __init__(self, method: str, kind: Kind) -> None:
        above = context.place()
        self.place = above.at(f"{random.getrandbits(64) | 1:016x}")
        self._parent = above.span
        self._method = method
        self._kind = kind
        self._started = time.time()

    @classmethod
    def served(cls, method: str) -> Self:
        """The span of a call that this process serves; what its handler calls is below it."""
        call = cls(method, Kind.SERVER)
        context.enter(call.place)
        return call

    @classmethod
    def made(cls, method: str) -> Self | None:
        """The span of a call that this process makes; None outside a trace."""
        return cls(method, Kind.CLIENT) if context.trace_id.get() else None

    def end(self, code: str, error: str = "") -> None:
        """Tell it; `code` is gRPC's."""
        service, _, name = self._method.partition("/")
        attributes = {
            "rpc.system.name": "grpc",
            "rpc.service": service,
            "rpc.method": name,
            "rpc.response.status_code": code,
        }
        failed = error or ("" if code == "OK" else code)
        span = Span(
            self._method, self._kind, self.place, self._parent, self._started, time.time(), attributes | _run(), failed
        )
        tell(span)


def _run() -> dict[str, str]:
    run = context.run_id.get()
    return {"cicd.pipeline.run.id": run} if run else {}
