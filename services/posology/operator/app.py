"""Composition root: `python -m posology.operator.app` bridges custom resources and the orchestrator."""

import asyncio
from collections.abc import Awaitable
from contextlib import AsyncExitStack

import grpc.aio

from posology.core import settings as environment
from posology.core.errors import FailedPrecondition, NotFound
from posology.core.kube import ClusterConfig, Kube, Lease
from posology.core.rpc import server
from posology.core.rpc.client import connect
from posology.operator import convert, metrics
from posology.operator.bridge import Bridge
from posology.operator.deny_list import DenyListMirror
from posology.operator.leader_state import Notes
from posology.operator.mirror import Mirror
from posology.operator.release_policy import ReleasePolicies
from posology.operator.settings import Settings
from posology.operator.watch import watch
from posology.v1alpha1 import catalog_pb2_grpc, orchestrator_pb2_grpc


async def build(settings: Settings, access: ClusterConfig, stack: AsyncExitStack) -> server.Server:
    """The operator; what must be closed goes on `stack`. Replicas that don't lead only answer health checks."""
    kube = await stack.enter_async_context(Kube(access))
    channel = await stack.enter_async_context(connect(settings, "orchestrator"))
    catalog = catalog_pb2_grpc.CatalogStub(await stack.enter_async_context(connect(settings, "catalog")))
    namespace = settings.lease_namespace or access.namespace
    lease = Lease(kube, namespace, settings.lease_name, settings.identity, seconds=settings.lease_seconds)

    async def work() -> None:
        """What the leader does: kopf's loop and the mirror's, until one of them ends."""
        await _check_defined(kube)
        notes = Notes(lease)
        await notes.load()
        stub = orchestrator_pb2_grpc.OrchestratorStub(channel)
        mirror = Mirror(stub, kube, notes, settings)
        bridge = Bridge(stub, mirror, trust_submitted_by=settings.trust_submitted_by)
        deny_lists = [
            DenyListMirror(
                catalog, kube, namespace=place, name=settings.deny_list_config_map, seconds=settings.poll_seconds
            )
            for place in settings.deny_list_places(namespace)
        ]
        policies = ReleasePolicies(
            kube,
            places=settings.deny_list_places(namespace),
            keys=settings.public_keys_config_map,
            seconds=settings.poll_seconds,
        )
        with metrics.leading():
            async with asyncio.TaskGroup() as group:
                group.create_task(mirror.run())
                if settings.deny_list_config_map:
                    for deny_list in deny_lists:
                        group.create_task(deny_list.run())
                if settings.public_keys_config_map:
                    group.create_task(policies.run())
                group.create_task(_until_it_ends(watch(bridge, access, settings)))

    async def lead() -> None:
        await lease.lead(work)

    def add(_: grpc.aio.Server) -> None:
        """It has no calls of its own beside health and reflection."""

    return server.Server(name=settings.service, settings=settings, add=add, service_names=(), background=(lead,))


async def _check_defined(kube: Kube) -> None:
    try:
        await kube.get(f"/apis/{convert.RUNS.version}")
    except NotFound:
        raise FailedPrecondition(
            f"the API server does not know {convert.RUNS.version}; install charts/posology-crds"
        ) from None


async def _until_it_ends(watching: Awaitable[None]) -> None:
    await watching
    raise FailedPrecondition("kopf ended; it is started anew")


async def serve() -> None:
    """Run until told to stop."""
    async with AsyncExitStack() as stack:
        await server.run(await build(environment.load(Settings), ClusterConfig.discover(), stack))


def main() -> None:
    """Entry point of the process."""
    server.launch(serve)


if __name__ == "__main__":
    main()
