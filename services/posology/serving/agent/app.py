"""The agent's composition root: `python -m posology.serving.agent.app`, one beside every engine."""

import asyncio
import contextlib
import signal
import sys
from typing import NoReturn

import uvloop

from posology.core import http, telemetry
from posology.core.errors import PosologyError
from posology.core.rpc.tls import Files
from posology.core.settings import load
from posology.serving.agent.lifecycle import is_final, live
from posology.serving.agent.proxy import Proxy, engine_session
from posology.serving.agent.report import Report
from posology.serving.agent.settings import AgentSettings
from posology.serving.domain import ReplicaState

FAILED = 1
"""Exit status of an agent that could not serve; `status.json` says why."""


async def serve(settings: AgentSettings) -> int:
    """Serve until told to stop; the exit status."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    report = Report(settings.directory, settings.last_word_file)
    tls = Files(certificate=settings.tls_cert_file, key=settings.tls_key_file)
    async with contextlib.AsyncExitStack() as stack:
        proxy = Proxy(
            report,
            await stack.enter_async_context(engine_session()),
            token=settings.token,
            engine_url=settings.engine_url,
            drain_path=settings.drain_path,
        )
        server = await stack.enter_async_context(http.serving(proxy.app(), settings.listen, tls=tls))
        report.say(ReplicaState.FETCHING, url=server.url)
        try:
            await _unless_stopped(asyncio.ensure_future(live(settings, report, proxy, stop)), proxy, stop)
        except PosologyError as error:
            report.say(ReplicaState.FAILED, error.message, final=is_final(error))
            report.leave()
            return FAILED
        proxy.leaving = True
        await server.stop()
    report.say(ReplicaState.STOPPED, "told to stop")
    report.leave()
    return 0


async def _unless_stopped(life: "asyncio.Task[None]", proxy: Proxy, stop: asyncio.Event) -> None:
    """Let the agent live; before it serves there is nothing to drain, so a stop ends it at once."""
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait({life, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not life.done() and proxy.target is None:
        life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await life
    else:
        await life


def main() -> NoReturn:
    """Run, and exit 2 with one line when the environment is wrong."""
    try:
        settings = load(AgentSettings)
    except PosologyError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(2)
    telemetry.log_as_json("agent", level=settings.log_level)
    sys.exit(uvloop.run(serve(settings)))


if __name__ == "__main__":
    main()
