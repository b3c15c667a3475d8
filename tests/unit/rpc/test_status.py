"""Errors survive the wire."""

import grpc
import grpc.aio
import pytest
from grpc_status import rpc_status

from posology.core import errors
from posology.core.errors import PosologyError, Violation
from posology.core.rpc.status import from_rpc_error, to_status


class Overdose(errors.FailedPrecondition):
    """A class that only some processes know."""


def over_the_wire(error: PosologyError) -> PosologyError:
    return from_rpc_error(as_failed_call(error))


def as_failed_call(error: PosologyError) -> grpc.aio.AioRpcError:
    status = rpc_status.to_status(to_status(error, trace_id="ab" * 16))
    metadata = grpc.aio.Metadata(*status.trailing_metadata)
    return grpc.aio.AioRpcError(status.code, grpc.aio.Metadata(), metadata, status.details)


def every_class(kind: type[PosologyError] = PosologyError) -> list[type[PosologyError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in every_class(child))]


CORE = [kind for kind in every_class() if kind.__module__ == errors.__name__]


@pytest.mark.parametrize("kind", [kind for kind in CORE if kind not in (PosologyError, errors.Retryable)])
def test_every_class_comes_back_as_itself(kind: type[PosologyError]) -> None:
    came = over_the_wire(kind("do this", violations=[Violation("spec.name", "is taken")]))
    assert type(came) is kind
    assert (came.message, came.violations) == ("do this", (Violation("spec.name", "is taken"),))


def test_a_class_that_this_process_does_not_know_comes_back_as_the_base_of_its_code() -> None:
    failed = as_failed_call(Overdose("too much"))
    Overdose.__name__ = "Renamed"
    try:
        assert type(from_rpc_error(failed)) is errors.FailedPrecondition
    finally:
        Overdose.__name__ = "Overdose"


def test_more_violations_than_metadata_can_carry_are_counted() -> None:
    many = [Violation(f"spec.sources[{i}].uri", "x" * 200) for i in range(1000)]
    came = over_the_wire(errors.InvalidInput.of(many))
    assert 200 < len(came.violations) < 1000
    assert came.violations[-1].description == f"and {1000 - len(came.violations) + 1} more violations"
    assert len(to_status(errors.InvalidInput.of(many), trace_id="").SerializeToString()) < 64 * 1024


def test_a_proxy_that_changed_the_message_is_believed_over_the_details() -> None:
    failed = as_failed_call(errors.NotFound("no such run"))
    changed = grpc.aio.AioRpcError(
        grpc.StatusCode.UNAVAILABLE, failed.initial_metadata(), failed.trailing_metadata(), "upstream reset"
    )
    assert type(from_rpc_error(changed)) is errors.Unavailable


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_each_code_without_details_is_an_error_of_ours(code: grpc.StatusCode) -> None:
    bare = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(), "")
    came = from_rpc_error(bare)
    assert isinstance(came, PosologyError)
    assert came.message
