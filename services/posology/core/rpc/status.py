"""Errors across the wire: core.errors -> google.rpc.Status with BadRequest violations, and back."""

from collections.abc import Callable, Iterator

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from posology.core import errors
from posology.core.errors import PosologyError, Violation

DOMAIN = "posology.dev"
MOST_BYTES = 48 * 1024
"""Bound of an encoded status: it travels in trailing metadata, which channels bound (ours at 128 KiB)."""
_MOST_MESSAGE = 4096

_BY_CODE: dict[grpc.StatusCode, type[PosologyError]] = {
    kind.grpc_status: kind
    for kind in (
        errors.InvalidInput,
        errors.NotFound,
        errors.AlreadyExists,
        errors.FailedPrecondition,
        errors.Unauthenticated,
        errors.PermissionDenied,
        errors.DataCorrupt,
        errors.Exhausted,
        errors.Unavailable,
        errors.Timeout,
        errors.Conflict,
        errors.Cancelled,
        errors.Internal,
    )
}


def to_status(error: PosologyError, *, trace_id: str) -> status_pb2.Status:
    """The error as google.rpc.Status: ErrorInfo names its class and trace, BadRequest its violations."""
    status = status_pb2.Status(
        code=error.grpc_status.value[0],
        message=error.message[:_MOST_MESSAGE],
        details=[
            _pack(
                error_details_pb2.ErrorInfo(reason=type(error).__name__, domain=DOMAIN, metadata={"trace_id": trace_id})
            )
        ],
    )
    if error.violations:
        status.details.append(_pack(_bad_request(error.violations)))
    return status


def _bad_request(violations: tuple[Violation, ...]) -> error_details_pb2.BadRequest:
    """As many violations as fit; a last one says how many were left out."""
    request = error_details_pb2.BadRequest()
    room = MOST_BYTES
    for position, violation in enumerate(violations):
        room -= len(violation.field.encode()) + len(violation.description.encode()) + 8
        if room < 0:
            request.field_violations.add(description=f"and {len(violations) - position} more violations")
            break
        request.field_violations.add(field=violation.field, description=violation.description)
    return request


def _pack(message: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def from_rpc_error(
    error: grpc.RpcError, *, service: str = "", address: str = "", why: Callable[[str], str] | None = None
) -> PosologyError:
    """The error of a failed call as the class that the server raised, with its violations.

    `service` and `address` make the message of a server that can't be reached say how to start it, unless `why` knows
    better from gRPC's words.
    """
    code: grpc.StatusCode = error.code()
    status = _status(error)
    if status is None:
        details = error.details() or ""
        if code is grpc.StatusCode.UNAVAILABLE and why and (because := why(details)):
            return errors.Unavailable(f"{_place(service, address)} can't be called: {because}")
        return _without_status(code, details, service=service, address=address)
    return _class(status, code)(status.message, violations=_violations(status))


def _status(error: grpc.RpcError) -> status_pb2.Status | None:
    try:
        status: status_pb2.Status | None = rpc_status.from_call(error)
    except ValueError:
        return None  # a proxy changed code or message: the details are not to be trusted
    return status


def _without_status(code: grpc.StatusCode, details: str, *, service: str, address: str) -> PosologyError:
    kind = _BY_CODE.get(code, errors.Internal)
    if kind is errors.Unavailable and (service or address):
        return unreachable(service, address, reason=details)
    if kind is errors.Timeout:
        return kind(f"{service or 'the service'} did not answer in time; try again, or allow more time")
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return kind(f"{service or 'the service'} does not know this method; is it of the same version? ({details})")
    return kind(details or code.name.lower().replace("_", " "))


def unreachable(service: str, address: str, *, reason: str = "") -> errors.Unavailable:
    """What a user reads when nothing answers at an address."""
    because = f" ({reason})" if reason else ""
    return errors.Unavailable(f"{_place(service, address)} is not reachable; start it with `posology up`{because}")


def _place(service: str, address: str) -> str:
    return f"service {service or 'there'} at {address or 'its address'}"


def _class(status: status_pb2.Status, code: grpc.StatusCode) -> type[PosologyError]:
    """The class of that name if this process knows one with the same code, else the base of the code."""
    for reason in _reasons(status):
        for kind in _descendants(PosologyError):
            if kind.__name__ == reason and kind.grpc_status is code:
                return kind
    return _BY_CODE.get(code, errors.Internal)


def _reasons(status: status_pb2.Status) -> Iterator[str]:
    info = error_details_pb2.ErrorInfo()
    for detail in status.details:
        if detail.Unpack(info) and info.domain == DOMAIN:
            yield info.reason


def _violations(status: status_pb2.Status) -> Iterator[Violation]:
    request = error_details_pb2.BadRequest()
    for detail in status.details:
        if detail.Unpack(request):
            yield from (Violation(violation.field, violation.description) for violation in request.field_violations)


def _descendants(kind: type[PosologyError]) -> Iterator[type[PosologyError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)
