"""One tree of errors; each class tells the caller what to do and how gRPC says it."""

from collections.abc import Iterable
from dataclasses import dataclass

import grpc


@dataclass(frozen=True)
class Violation:
    """One field that is wrong: its path (`spec.training.sft.rank`), and what is allowed."""

    field: str
    description: str
    place: str = ""
    """`file:line`, where the field stands in a file of the user's."""

    def __str__(self) -> str:
        return f"{self.place}: {self.field}: {self.description}" if self.place else f"{self.field}: {self.description}"


class PosologyError(Exception):
    """Root of every error that a user may see; the message says what to do next."""

    grpc_status = grpc.StatusCode.UNKNOWN
    retryable = False

    def __init__(self, message: str, *, violations: Iterable[Violation] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.violations = tuple(violations)


# --- fix the request -------------------------------------------------------------------------------


class InvalidInput(PosologyError):
    """The request is wrong whatever the state of the system; `violations` name the fields."""

    grpc_status = grpc.StatusCode.INVALID_ARGUMENT

    @classmethod
    def of(cls, violations: Iterable[Violation]) -> "InvalidInput":
        """All violations at once, so that a user mends a spec in one go."""
        found = tuple(violations)
        return cls("; ".join(str(v) for v in found), violations=found)


class NotFound(PosologyError):
    """No such resource in this namespace."""

    grpc_status = grpc.StatusCode.NOT_FOUND


class AlreadyExists(PosologyError):
    """The name is taken by something else; choose another name."""

    grpc_status = grpc.StatusCode.ALREADY_EXISTS


class FailedPrecondition(PosologyError):
    """The request is well formed, but the system is not in the state that it needs."""

    grpc_status = grpc.StatusCode.FAILED_PRECONDITION


class Unauthenticated(PosologyError):
    """No valid token came with the call."""

    grpc_status = grpc.StatusCode.UNAUTHENTICATED


class PermissionDenied(PosologyError):
    """The caller is known and may not do this."""

    grpc_status = grpc.StatusCode.PERMISSION_DENIED


class DataCorrupt(PosologyError):
    """Stored bytes are not what their digest says; restore the artifact or make it again."""

    grpc_status = grpc.StatusCode.DATA_LOSS


# --- ask for capacity ------------------------------------------------------------------------------


class Exhausted(PosologyError):
    """A quota, queue or disk is full; free some or ask for more."""

    grpc_status = grpc.StatusCode.RESOURCE_EXHAUSTED


# --- retry -----------------------------------------------------------------------------------------


class Retryable(PosologyError):
    """Nothing is wrong with the request; the same call may work later."""

    retryable = True


class Unavailable(Retryable):
    """A service or a process it needs is away for a moment."""

    grpc_status = grpc.StatusCode.UNAVAILABLE


class Timeout(Retryable):
    """The answer did not come in time."""

    grpc_status = grpc.StatusCode.DEADLINE_EXCEEDED


class Conflict(Retryable):
    """Somebody else changed the resource first; read it again and retry."""

    grpc_status = grpc.StatusCode.ABORTED


# --- nothing ---------------------------------------------------------------------------------------


class Cancelled(PosologyError):
    """The user asked to stop."""

    grpc_status = grpc.StatusCode.CANCELLED


class Internal(PosologyError):
    """A defect of ours; the log has the trace id."""

    grpc_status = grpc.StatusCode.INTERNAL
