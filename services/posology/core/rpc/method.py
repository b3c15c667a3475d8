"""One method's telemetry: its metrics, resolved once, and its line in the access log."""

import logging
import time
from typing import Any

import grpc

from posology.core import telemetry
from posology.core.rpc import context

log = logging.getLogger("posology.rpc")

_READS = ("Get", "List", "Watch", "Check", "Search", "ServerReflection")
"""Successful calls of methods that start so are logged at DEBUG: pollers would drown the rest."""
_DEFECTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS")


class Method:
    """Counts, times and logs the calls of one method; `name` is `package.Service/Method`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._success = logging.DEBUG if name.rpartition("/")[2].startswith(_READS) else logging.INFO
        self._in_flight = telemetry.IN_FLIGHT.labels(name)
        self._seconds = telemetry.SECONDS.labels(name)
        self._ok = telemetry.CALLS.labels(name, "OK")

    def begin(self) -> float:
        """Note the start of a call; returns it for `end`."""
        self._in_flight.inc()
        return time.perf_counter()

    def end(self, begun: float, code: str = "OK", *, message: str = "", defect: Exception | None = None) -> None:
        """Note the end of a call; a defect is logged with its traceback, which callers never see."""
        seconds = time.perf_counter() - begun
        self._in_flight.dec()
        self._seconds.observe(seconds)
        (self._ok if code == "OK" else telemetry.CALLS.labels(self.name, code)).inc()
        level = self._success if code == "OK" else logging.ERROR if code in _DEFECTS else logging.INFO
        if log.isEnabledFor(level):
            self._log(level, code, seconds, message, defect)

    def _log(self, level: int, code: str, seconds: float, message: str, defect: Exception | None) -> None:
        fields = {
            "method": self.name,
            "code": code,
            "seconds": round(seconds, 6),
            "caller": context.caller.get().subject,
        }
        log.log(level, "call", extra=fields | ({"error": message} if message else {}), exc_info=defect)


def code_of(call: "grpc.aio.ServicerContext[object, object]") -> str:
    """The code that a handler set or aborted with itself, `OK` if none."""
    found: Any = call.code()  # grpc.aio gives None, the number or the enumeration, by how it was set
    return "OK" if found is None else _CODES.get(found, "UNKNOWN")


_CODES: dict[Any, str] = {code.value[0]: code.name for code in grpc.StatusCode} | {
    code: code.name for code in grpc.StatusCode
}
