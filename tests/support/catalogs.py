"""A real catalog beside the service under test."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from posology.catalog import app
from posology.catalog.settings import Settings
from posology.core.rpc import server


@asynccontextmanager
async def serving_catalog(data_dir: Path) -> AsyncIterator[str]:
    """The catalog of the installation in `data_dir`, which must hold a token; yields its address."""
    settings = Settings(data_dir=data_dir, metrics_port=-1)
    async with AsyncExitStack() as stack:
        built = await app.build(settings, stack)
        runner = server.Server(name="catalog", settings=settings, add=built.add, service_names=built.service_names)
        yield await stack.enter_async_context(server.running(runner))
