"""What travels with a call."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import copy_context

import pytest

from posology.core.rpc import context

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def bound(**metadata: str) -> tuple[str, str]:
    """(run, trace) that a call with this metadata sees."""

    def call() -> tuple[str, str]:
        context.bind({name.replace("_", "-"): value for name, value in metadata.items()})
        return context.run_id.get(), context.trace_id.get()

    return copy_context().run(call)


def test_a_trace_goes_on_in_the_next_call() -> None:
    there = context.Place(TRACE, "00f067aa0ba902b7", sampled=False)
    assert context.parse_traceparent(there.header()) == there
    assert context.parse_traceparent(context.Place(TRACE).header()).trace == TRACE
    assert bound(traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")[1] == TRACE


@pytest.mark.parametrize(
    "header",
    ["", "00", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01", f"00-{TRACE.upper()}-00-01"],
)
def test_what_is_no_traceparent_starts_a_new_trace(header: str) -> None:
    _, trace = bound(traceparent=header)
    assert len(trace) == 32
    assert trace != bound(traceparent=header)[1]


@pytest.mark.parametrize("run", ["two words", "line\nbreak", "x" * 300])
def test_a_run_id_that_would_garble_logs_is_dropped(run: str) -> None:
    assert bound(x_posology_run=run)[0] == ""
    assert bound(x_posology_run="namespaces/a/fineTuneRuns/b")[0] == "namespaces/a/fineTuneRuns/b"


async def test_a_pause_ends_early_when_the_server_drains() -> None:
    drain = asyncio.Event()

    async def watch() -> list[bool]:
        return [await context.pause(0.01), await context.pause(30), context.draining()]

    watching = asyncio.create_task(watch(), context=context.of_server(drain))
    await asyncio.sleep(0.05)
    drain.set()
    assert await asyncio.wait_for(watching, 2) == [False, True, True]


async def test_an_error_of_what_is_followed_reaches_the_watcher() -> None:
    async def events() -> AsyncIterator[int]:
        yield 1
        raise ValueError("broken")

    followed = context.until_shutdown(events())
    assert await anext(followed) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(followed)
