"""kopf watches resources, retries handlers and keeps the finalizer; what is to be done, the bridge does.

kopf takes SIGTERM for itself when it runs in the main thread, where our servers drain on it. So it has a thread and an
event loop of its own, and its handlers hop over to the loop of everything else.
"""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from datetime import timedelta
from typing import Any

import kopf

from posology.core.errors import Retryable
from posology.core.kube import ClusterConfig
from posology.operator import convert
from posology.operator.bridge import Bridge
from posology.operator.settings import Settings

_AGAIN_SECONDS = 3.0
_GROUP, _VERSION = convert.RUNS.version.split("/")
_WATCHED = (_GROUP, _VERSION, convert.RUNS.plural)
_FINALIZER = f"{_GROUP}/cancel-run"


class _Generation(kopf.AnnotationsDiffBaseStorage):
    """Remembers the generation that was handled, instead of a copy of the whole spec."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {"generation": body["metadata"].get("generation", 1)}


async def watch(bridge: Bridge, access: ClusterConfig, settings: Settings) -> None:
    """Serve resources until cancelled; returns or raises when kopf gives up."""
    loop, stop = asyncio.get_running_loop(), threading.Event()
    registry = _handlers(bridge, access, loop, patience=timedelta(seconds=settings.cancel_seconds))
    namespaces = settings.namespaces()

    def serve() -> None:
        operator = kopf.operator(
            registry=registry,
            settings=_settings(),
            identity=settings.identity,  # type: ignore[arg-type]  # else it asks for the user's name, and a pod has none
            standalone=True,  # the lease elects; kopf's own peering can freeze
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
        )
        asyncio.run(operator)

    serving = loop.run_in_executor(None, serve)
    try:
        await asyncio.shield(serving)
    finally:
        stop.set()
        await asyncio.wait({serving})


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.persistence.finalizer = _FINALIZER
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=_GROUP)
    settings.persistence.diffbase_storage = _Generation(prefix=_GROUP, key="handled")
    settings.posting.enabled = False  # we tell what happens to runs, not to handlers
    settings.scanning.disabled = True  # needs no rights on namespaces and definitions
    settings.watching.server_timeout = 300
    settings.watching.inactivity_timeout = 90
    settings.networking.request_timeout = 30
    return settings


def _handlers(
    bridge: Bridge, access: ClusterConfig, loop: asyncio.AbstractEventLoop, *, patience: timedelta
) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    async def over(work: Coroutine[Any, Any, None]) -> None:
        try:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))
        except Retryable as error:
            raise kopf.TemporaryError(error.message, delay=_AGAIN_SECONDS) from error

    @kopf.on.login(registry=registry)
    def login(**_: Any) -> kopf.ConnectionInfo:
        return _connection(access)

    @kopf.on.resume(*_WATCHED, id="reconcile", registry=registry)
    @kopf.on.create(*_WATCHED, id="reconcile", registry=registry)
    @kopf.on.update(*_WATCHED, id="reconcile", registry=registry)
    async def reconcile(body: kopf.Body, **_: Any) -> None:
        await over(bridge.reconcile(_plain(body)))

    @kopf.on.delete(*_WATCHED, id="delete", registry=registry)  # the id becomes an annotation
    async def delete(body: kopf.Body, runtime: timedelta, **_: Any) -> None:
        await over(bridge.delete(_plain(body), patient=runtime < patience))

    return registry


def _connection(access: ClusterConfig) -> kopf.ConnectionInfo:
    token = access.bearer()
    return kopf.ConnectionInfo(
        server=access.server,
        ca_data=access.authority or None,
        scheme="Bearer" if token else None,
        token=token or None,
        certificate_data=access.certificate or None,
        private_key_data=access.key or None,
    )


def _plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """kopf's view of an object as one that outlives the handler."""
    return {key: _copy(value) for key, value in body.items()}


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, (list, tuple)) else value
