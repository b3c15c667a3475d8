"""Logs as JSON with run and trace, and the metrics that every service shows on `/metrics`."""

import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import (
    CollectorRegistry,
    Gauge,
    PlatformCollector,
    ProcessCollector,
    make_wsgi_app,
    start_http_server,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from pythonjsonlogger.json import JsonFormatter

from posology.core.rpc import context

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""What answers HTTP, by WSGI."""

REGISTRY = CollectorRegistry()
"""The metrics of this process; a service registers its own here too."""
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

JOBS = Gauge("posology_jobs", "Jobs by kind and state.", ("service", "kind", "state"), registry=REGISTRY)
QUEUE = Gauge("posology_queue_length", "Entries that wait for work.", ("service", "queue"), registry=REGISTRY)
QUEUE_AGE = Gauge(
    "posology_queue_oldest_seconds",
    "Age of the entry that has waited longest; 0 when the queue is empty.",
    ("service", "queue"),
    registry=REGISTRY,
)


class Shown(Collector):
    """Metrics replaced all at once: a scrape sees the world before or after, and no label outlives its object."""

    def __init__(self) -> None:
        self._families: tuple[Metric, ...] = ()
        REGISTRY.register(self)

    def show(self, families: Iterable[Metric]) -> None:
        """What scrapes see from now on."""
        self._families = tuple(families)

    def collect(self) -> Iterator[Metric]:
        """What was shown last."""
        yield from self._families


def show_jobs(service: str, counts: Mapping[tuple[str, str], int]) -> None:
    """Set the job gauges of `service` to {(kind, state): count}; pairs no longer counted fall to 0."""
    known = {labels[1:] for labels in _labels(JOBS) if labels[0] == service}
    for kind, state in known | counts.keys():
        JOBS.labels(service, kind, state).set(counts.get((kind, state), 0))


def show_queue(service: str, queue: str, *, length: int, oldest_seconds: float = 0.0) -> None:
    """Set the gauges of one queue: entries that wait, and the age of the oldest in seconds."""
    QUEUE.labels(service, queue).set(length)
    QUEUE_AGE.labels(service, queue).set(oldest_seconds)


def _labels(gauge: Gauge) -> set[tuple[str, ...]]:
    return {tuple(sample.labels.values()) for metric in gauge.collect() for sample in metric.samples}


@contextmanager
def metrics_over_http(host: str, port: int, ready: Callable[[], bool]) -> Iterator[str]:
    """Serve REGISTRY at http://host:port/metrics from a thread, and at /ready whether this process takes calls, for
    probes that speak no gRPC over TLS; yields host:port ("" for port -1: off)."""
    if port < 0:
        yield ""
        return
    server, _ = start_http_server(port, addr=host, registry=REGISTRY)
    server.set_app(_with_readiness(make_wsgi_app(REGISTRY), ready))
    try:
        yield f"{host}:{server.server_port}"
    finally:
        # shutdown() waits for the next poll, up to 0.5 s: not in the event loop of whoever leaves here.
        threading.Thread(target=_close, args=(server,), daemon=True).start()


def _with_readiness(metrics: Application, ready: Callable[[], bool]) -> Application:
    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/ready":
            return metrics(environ, start_response)
        start_response("200 OK" if ready() else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"ready\n" if ready() else b"not ready\n"]

    return answer


def _close(server: WSGIServer) -> None:
    server.shutdown()
    server.server_close()


class _Scope(logging.Filter):
    """Adds what belongs to the current call to each record: service, run id, trace id, caller."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def filter(self, record: logging.LogRecord) -> bool:
        record.service = self._service
        if run := context.run_id.get():
            record.run_id = run
        if trace := context.trace_id.get():
            record.trace_id = trace
        return True


def json_handler(service: str) -> logging.Handler:
    """A handler to standard error: one JSON object a line, with service, run id and trace id."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Scope(service))
    handler.setFormatter(
        JsonFormatter(
            ("asctime", "levelname", "name", "message"),
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            datefmt="%Y-%m-%dT%H:%M:%S%z",
        )
    )
    return handler


def log_as_json(service: str, *, level: str = "INFO") -> None:
    """Send all logging of this process through `json_handler`; values in `extra={...}` become keys."""
    logging.basicConfig(handlers=[json_handler(service)], level=level, force=True)
    if level != "DEBUG":
        logging.getLogger("httpx").setLevel(logging.WARNING)  # a line for each request says nothing
