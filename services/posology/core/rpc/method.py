"""One method's telemetry: rate, errors, duration, calls in flight, and its line in the access log.

The numbers are plain integers of the event loop's thread, read when somebody scrapes: a third of the cost of
prometheus-client's own counters on the path of every call.
"""

import logging
import time
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import grpc
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from posology.core.rpc import context
from posology.core.telemetry import REGISTRY
from posology.core.tracing import only_reads

log = logging.getLogger("posology.rpc")

_DEFECTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS")
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds of the duration buckets in seconds; a watch stream counts from its start to its end."""


class Method:
    """Counts, times and logs the calls of one method; `name` is `package.Service/Method`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.in_flight = 0
        self.codes: dict[str, int] = {"OK": 0}
        self.buckets = [0] * (len(_BOUNDS) + 1)
        self.seconds = 0.0
        # pollers would drown the rest
        self._success = logging.DEBUG if only_reads(name) else logging.INFO

    def begin(self) -> float:
        """Note the start of a call; returns it for `end`."""
        self.in_flight += 1
        return time.perf_counter()

    def end(self, begun: float, code: str = "OK", *, message: str = "", defect: BaseException | None = None) -> None:
        """Note the end of a call; a defect is logged with its traceback, which callers never see."""
        seconds = time.perf_counter() - begun
        self.in_flight -= 1
        self.seconds += seconds
        self.buckets[bisect_left(_BOUNDS, seconds)] += 1
        self.codes[code] = self.codes.get(code, 0) + 1
        level = self._success if code == "OK" else logging.ERROR if code in _DEFECTS else logging.INFO
        if log.isEnabledFor(level):
            self._log(level, code, seconds, message, defect)

    def _log(self, level: int, code: str, seconds: float, message: str, defect: BaseException | None) -> None:
        fields = {
            "method": self.name,
            "code": code,
            "seconds": round(seconds, 6),
            "caller": context.caller.get().subject,
        }
        log.log(level, "call", extra=fields | ({"error": message} if message else {}), exc_info=defect)


_methods: dict[str, Method] = {}


def method(name: str) -> Method:
    """The one `Method` of that name in this process."""
    return _methods.setdefault(name, Method(name))


class _Calls(Collector):
    """Shows every `Method` on /metrics."""

    def collect(self) -> Iterator[Metric]:
        methods = list(_methods.values())
        calls = CounterMetricFamily(
            "posology_rpc_calls", "Finished gRPC calls by method and status code.", labels=("method", "code")
        )
        in_flight = GaugeMetricFamily("posology_rpc_in_flight", "gRPC calls being served now.", labels=("method",))
        seconds = HistogramMetricFamily(
            "posology_rpc_seconds", "Duration of gRPC calls and streams.", labels=("method",)
        )
        for method in methods:
            in_flight.add_metric((method.name,), method.in_flight)
            seconds.add_metric((method.name,), _cumulative(method.buckets), method.seconds)
            for code, count in list(method.codes.items()):
                calls.add_metric((method.name, code), count)
        yield from (calls, in_flight, seconds)


def _cumulative(buckets: list[int]) -> list[tuple[str, float]]:
    bounds = [*(str(bound) for bound in _BOUNDS), "+Inf"]
    return list(zip(bounds, accumulate(buckets), strict=True))


REGISTRY.register(_Calls())

_CODES: dict[Any, str] = {
    None: "OK",  # grpc.aio gives None, the number or the enumeration, by how it was set
    **{code.value[0]: code.name for code in grpc.StatusCode},
    **{code: code.name for code in grpc.StatusCode},
}


def code_of(call: "grpc.aio.ServicerContext[Any, Any]") -> str:
    """The code that a handler set or aborted with itself, `OK` if none."""
    return _CODES.get(call.code(), "UNKNOWN")
