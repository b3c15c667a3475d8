"""A training service of this process whose workers are pods of the product's own image, and what it is to train."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.whole.images import Images
from google.protobuf.json_format import ParseDict
from support.cluster_nodes import Nodes
from support.clusters import NAMESPACES
from support.servers import S3
from support.training_bench import SFT, Bench, pair, write_lines
from support.training_world import PARENT, World, world

from posology.core.jobs.launchers.kubernetes.launcher import PODS
from posology.core.kube import Kube, Resource
from posology.v1alpha1 import job_pb2
from posology.v1alpha1 import training_pb2 as pb

STORAGE = "TEST_STORAGE"
PEERS = {
    "metadata": {"name": "peers"},
    "spec": {
        "clusterIP": "None",
        "publishNotReadyAddresses": True,
        "selector": {"app.kubernetes.io/component": "worker"},
        "ports": [{"name": "rendezvous", "port": 29500}],
    },
}
GPU_POOL = {
    "nodeSelector": {"nvidia.com/gpu.present": "true"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "cpus": "100m",
    "memory": "2Gi",
    "sharedMemory": "64Mi",
}
CONFIG = {**{key: value for key, value in SFT.items() if key != "earlyStopping"}, "epochs": 8}


@dataclass(frozen=True)
class Place:
    """A training service of this process whose workers are pods in a namespace of their own."""

    kube: Kube
    namespace: str
    world: World
    spec: Mapping[str, Any]

    async def train(self, name: str, *, config: Mapping[str, Any], **resources: Any) -> str:
        """The name of a new training; `config` on top of a small recipe."""
        sft = {**self.spec["sft"], "config": {**CONFIG, **config}}
        given = {"baseModel": self.spec["baseModel"], "sft": sft, "resources": resources}
        asked = ParseDict(given, pb.TrainingJobSpec())
        request = pb.CreateTrainingJobRequest(parent=PARENT, training_job_id=name, spec=asked)
        return (await self.world.training.CreateTrainingJob(request)).name

    async def losses(self, name: str, *, until: int = 0) -> dict[int, float]:
        """The loss of each step, to the end of the job or to a step."""
        found: dict[int, float] = {}
        async with asyncio.timeout(400):
            async for event in self.world.training.WatchTrainingJob(job_pb2.WatchJobRequest(name=name)):
                if "loss" in event.metric.values:
                    found[event.metric.step] = event.metric.values["loss"]
                if until and event.metric.step >= until:
                    break
        return found

    async def said(self, name: str) -> list[tuple[str, str]]:
        """Every reason that the job gave, and what its queue had decided then."""
        found = []
        async for event in self.world.training.WatchTrainingJob(job_pb2.WatchJobRequest(name=name)):
            if event.HasField("status"):
                found.append((event.status.reason, job_pb2.QueueState.Name(event.status.queue_state)))
        return found

    async def pods(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.kube.select(PODS, self.namespace))["items"]
        return [pod for pod in found if pod["status"]["phase"] == "Running"]


@asynccontextmanager
async def training_place(root: Path, nodes: Nodes, images: Images, s3: S3) -> AsyncIterator[Place]:
    """The caller has set STORAGE to the options of `s3`, and KUBECONFIG."""
    async with Kube(nodes.access) as kube:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        made = await kube.create(NAMESPACES, "", {"metadata": {"generateName": "trains-", "labels": labels}})
        namespace = made["metadata"]["name"]
        await kube.create(Resource("v1", "services"), namespace, PEERS)
        secret = {"metadata": {"name": "storage"}, "stringData": {STORAGE: json.dumps(s3.options)}}
        await kube.create(Resource("v1", "secrets"), namespace, secret)
        pods = {
            "image": images.worker,
            "namespace": namespace,
            "storageSecret": "storage",
            "peers": "peers",
            "environment": {"OMP_NUM_THREADS": "1"},
            "pools": {"gpu": GPU_POOL},
            "gpuPool": "gpu",
        }
        bucket = s3.bucket()
        urls = {f"{kind}_url": f"{bucket}/{kind}#env:{STORAGE}" for kind in ("candidates", "released", "staging")}
        more = {"launcher": "kubernetes", "worker_pods": pods, "workers": 2, "listen": f"{nodes.host}:0", **urls}
        async with world(root, **more) as opened:
            yield Place(kube, namespace, opened, _inputs(root, opened))
        await kube.delete(NAMESPACES, "", namespace)


def _inputs(root: Path, opened: World) -> dict[str, Any]:
    bench = Bench(root / "bench")
    rows = [pair(number) for number in range(48)]
    write_lines(bench.root / "dataset/train.jsonl", rows[:40])
    write_lines(bench.root / "dataset/validation.jsonl", rows[40:])
    bench.models(base={})
    base = opened.publish(bench.root / "model-base", "base-model")
    return {"baseModel": base, "sft": {"dataset": opened.publish(bench.root / "dataset", "dataset")}}
