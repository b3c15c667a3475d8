"""Streams whose first event is late, endless or huge are ended before any token is looked at."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from posology.core.errors import InvalidInput, Unavailable
from posology.core.jobs.service.servicer import Hellos
from posology.v1alpha1 import worker_pb2


async def sends(event: worker_pb2.WorkerEvent) -> AsyncIterator[worker_pb2.WorkerEvent]:
    yield event


async def silence() -> AsyncIterator[worker_pb2.WorkerEvent]:
    await asyncio.sleep(60)
    yield worker_pb2.WorkerEvent()


def hello(**fields: str) -> worker_pb2.WorkerEvent:
    return worker_pb2.WorkerEvent(hello=worker_pb2.Hello(**{"job": "j", "token": "t", **fields}))  # type: ignore[arg-type]


async def test_a_hello_is_read() -> None:
    assert (await Hellos().read(sends(hello()))).job == "j"


@pytest.mark.parametrize("field", ["job", "token", "process"])
async def test_a_huge_hello_is_refused(field: str) -> None:
    with pytest.raises(InvalidInput, match="a hello has at most 16384 bytes"):
        await Hellos().read(sends(hello(**{field: "x" * 2**20})))


async def test_another_event_first_is_refused() -> None:
    with pytest.raises(InvalidInput, match="the first event"):
        await Hellos().read(sends(worker_pb2.WorkerEvent()))


async def test_a_silent_stream_ends() -> None:
    with pytest.raises(Unavailable, match="no hello came within"):
        await Hellos(seconds=0.05).read(silence())


async def test_three_hundred_silent_streams_are_bounded_and_make_room() -> None:
    hellos = Hellos(at_once=4, waiting=16, seconds=0.2)
    results = await asyncio.gather(*(hellos.read(silence()) for _ in range(300)), return_exceptions=True)
    refused = [str(error) for error in results if isinstance(error, Unavailable)]
    assert len(refused) == 300
    assert sum("too many streams" in text for text in refused) == 284
    assert (await hellos.read(sends(hello()))).token == "t"
