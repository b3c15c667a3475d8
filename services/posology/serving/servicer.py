"""gRPC for deployments and routes: decode, delegate, encode."""

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from posology.core import names
from posology.core.rpc import context
from posology.serving import convert
from posology.serving.controller import Controller
from posology.serving.deployments import Deployments
from posology.serving.domain import Deployment
from posology.serving.routing import Routing
from posology.v1alpha1 import serving_pb2 as pb
from posology.v1alpha1 import serving_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]
_LOOK_AGAIN_SECONDS = 1.0


class ServingServicer(serving_pb2_grpc.ServingServicer):
    """See serving.proto."""

    def __init__(self, deployments: Deployments, routing: Routing, controller: Controller) -> None:
        self._deployments = deployments
        self._routing = routing
        self._controller = controller

    async def CreateDeployment(self, request: pb.CreateDeploymentRequest, _: Context) -> pb.Deployment:
        asked = convert.request_from_proto(request)
        made = await self._deployments.create(asked, actor=_actor(), validate_only=request.validate_only)
        return convert.deployment_to_proto(made, ready=0)

    async def GetDeployment(self, request: pb.GetDeploymentRequest, _: Context) -> pb.Deployment:
        await self._controller.looked.wait()
        found, ready = await self._deployments.get(*_id_of(request.name))
        return convert.deployment_to_proto(found, ready=ready)

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, _: Context) -> pb.ListDeploymentsResponse:
        await self._controller.looked.wait()
        namespace = names.namespace_of_parent(request.parent, every=True)
        found, token = await self._deployments.list_page(namespace, size=request.page_size, token=request.page_token)
        shown = (convert.deployment_to_proto(d, ready=ready) for d, ready in found)
        return pb.ListDeploymentsResponse(deployments=shown, next_page_token=token)

    async def DeleteDeployment(self, request: pb.DeleteDeploymentRequest, _: Context) -> pb.Deployment:
        return await self._shown(await self._deployments.delete(*_id_of(request.name), actor=_actor()))

    async def PromoteDeployment(self, request: pb.PromoteDeploymentRequest, _: Context) -> pb.Deployment:
        return await self._shown(await self._deployments.promote(*_id_of(request.name), actor=_actor()))

    async def RollBackDeployment(self, request: pb.RollBackDeploymentRequest, _: Context) -> pb.Deployment:
        return await self._shown(await self._deployments.roll_back(*_id_of(request.name), actor=_actor()))

    async def WatchDeployment(self, request: pb.WatchDeploymentRequest, _: Context) -> AsyncIterator[pb.Deployment]:
        """The deployment now and at each change, until it has ended."""
        await self._controller.looked.wait()
        name, last = _id_of(request.name), None
        while not context.draining():
            count = self._controller.changed.count
            found, ready = await self._deployments.get(*name)
            if (found, ready) != last:
                yield convert.deployment_to_proto(found, ready=ready)
            if found.state.ended:
                return
            last = (found, ready)
            await self._news(count)

    async def WatchRoutes(self, request: pb.WatchRoutesRequest, _: Context) -> AsyncIterator[pb.RouteTable]:
        """The whole table now and at each change; the first one waits until engines were looked at once."""
        await self._controller.looked.wait()
        version = 0
        while not context.draining():
            count = self._controller.changed.count
            ways = await self._routing.snapshot()
            if ways.version != version:
                yield convert.routes_to_proto(ways)
            version = ways.version
            await self._news(count)

    async def _news(self, count: int) -> None:
        await self._controller.changed.wait(count, within=_LOOK_AGAIN_SECONDS)

    async def _shown(self, deployment: Deployment) -> pb.Deployment:
        found, ready = await self._deployments.get(deployment.namespace, deployment.id)
        return convert.deployment_to_proto(found, ready=ready)


def _actor() -> str:
    return context.caller.get().subject


def _id_of(name: str) -> tuple[str, str]:
    """Namespace and id of a deployment."""
    parts = names.parse(name, "deployments")
    return parts.namespace, parts.id
