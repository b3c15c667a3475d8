"""The training service and a catalog beside it, over real gRPC below one folder; and small artifacts to ask about."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.core.artifacts import ArtifactStore
from posology.core.jobs.convert import state_to_proto
from posology.core.jobs.domain import State
from posology.core.rpc import client, server
from posology.training import app
from posology.training.settings import Settings as TrainingSettings
from posology.v1alpha1 import catalog_pb2_grpc, training_pb2_grpc
from posology.v1alpha1 import training_pb2 as pb
from support.catalogs import serving_catalog
from support.training_bench import WORKER_PYTHON

PARENT = "namespaces/default"
OVER = {state_to_proto(state) for state in State if state.final}


@dataclass(frozen=True)
class World:
    """Stubs, and the store that both services share."""

    root: Path
    training: training_pb2_grpc.TrainingAsyncStub
    catalog: catalog_pb2_grpc.CatalogAsyncStub
    store: ArtifactStore

    def publish(self, folder: Path, kind: str, *parents: str) -> str:
        return self.store.publish(folder, kind=kind, producer="test/0", parents=parents)

    async def over(self, name: str) -> pb.TrainingJob | pb.BaseModel:
        """The resource, once its job is over."""
        from posology.v1alpha1 import job_pb2

        base = "/baseModels/" in name
        watch = self.training.WatchBaseModel if base else self.training.WatchTrainingJob
        async for _ in watch(job_pb2.WatchJobRequest(name=name)):
            pass
        if base:
            return await self.training.GetBaseModel(pb.GetBaseModelRequest(name=name))
        return await self.training.GetTrainingJob(pb.GetTrainingJobRequest(name=name))


@asynccontextmanager
async def world(root: Path, **settings: Any) -> AsyncIterator[World]:
    """Both services serving; what they keep lies below `root`."""
    token = root / "token"
    token.write_text("secret-token-of-this-test")
    common: dict[str, Any] = {"data_dir": root, "token_file": token, "metrics_port": -1, "drain_seconds": 2}
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(serving_catalog(root))
        found = TrainingSettings(**common, catalog_address=catalog, worker_python=WORKER_PYTHON, **settings)
        composed = await stack.enter_async_context(app.build(found))
        training = await stack.enter_async_context(server.running(composed.server()))
        stubs = [
            await stack.enter_async_context(client.channel(address, token=token.read_text(), service=name))
            for name, address in (("training", training), ("catalog", catalog))
        ]
        yield World(
            root,
            training_pb2_grpc.TrainingStub(stubs[0]),
            catalog_pb2_grpc.CatalogStub(stubs[1]),
            ArtifactStore(found.candidates_url),
        )


def write_lines(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.parent
