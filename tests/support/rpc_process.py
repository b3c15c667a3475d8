"""A service as its own process, as `posology up` starts it: `python rpc_process.py`, settings from POSOLOGY_*."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from posology.core.rpc import context
from posology.core.rpc.server import Server, launch, run
from posology.core.settings import ServiceSettings, load
from support.rpc_example import NAME, Text, add


async def get(request: Any, call: Any) -> Any:
    if request.value == "break":
        raise KeyError("a secret of ours")
    await asyncio.sleep(float(request.value or 0))
    return Text(value="whole")


async def watch(request: Any, call: Any) -> Any:
    yield Text(value="started")
    while not await context.pause(0.05):
        pass
    yield Text(value="resume")


async def loop() -> None:
    await asyncio.sleep(0.2)
    if os.environ.get("TEST_BREAK_LOOP"):
        raise RuntimeError("the loop broke")
    await asyncio.sleep(3600)


async def serve() -> None:
    settings = load(ServiceSettings)
    await run(
        Server(
            name="echo",
            settings=settings,
            add=lambda server: add(server, Get=get, Watch=watch, CreateNote=get),
            service_names=(NAME,),
            background=(loop,),
        )
    )


if __name__ == "__main__":
    launch(serve)
