"""A whole release in a namespace of its own, installed by Helm and used through the doors that its users have."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from charts.generate.static import overlaid
from cluster.volumes import recycle
from cluster.whole.images import Images
from support.cluster_nodes import Nodes
from support.clusters import NAMESPACES, RUNS, STATE
from support.servers import REPOSITORY

from posology.cli.cluster import Forwarded
from posology.client import Client, Installation
from posology.core.errors import NotFound
from posology.core.kube import Kube

Object = dict[str, Any]
CHARTS = REPOSITORY / "charts"
DEV = CHARTS / "posology" / "values-dev.yaml"
GPU_POOL = {
    "nodeSelector": {"nvidia.com/gpu.present": "true"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
    "gpuResource": "nvidia.com/gpu",
}
_MICRO = REPOSITORY / "tests" / "pipeline" / "whole" / "micro.yaml"


@dataclass
class Release:
    """One installed release. What helm and kubectl print is returned; a failure of theirs fails the test with it."""

    nodes: Nodes
    kube: Kube
    images: Images
    namespace: str
    folder: Path
    name: str = "posology"
    values: Mapping[str, Any] = field(default_factory=dict)

    # --- programs ------------------------------------------------------------------------------------

    def kubectl(self, *words: str, given: str = "", wanted: int | None = 0) -> str:
        """kubectl in this namespace."""
        return self._program("kubectl", "-n", self.namespace, *words, given=given, wanted=wanted)

    def helm(self, *words: str, wanted: int | None = 0) -> str:
        """helm in this namespace."""
        return self._program("helm", "-n", self.namespace, *words, wanted=wanted)

    def install(self, **changes: Any) -> str:
        """Install, or upgrade to changed values, and wait until everything is ready."""
        file = self.folder / "values.yaml"
        merged = overlaid(overlaid(self.images.values(), self.values), changes)
        file.write_text(yaml.safe_dump(merged))
        words = ["upgrade", "--install", self.name, str(CHARTS / "posology"), "-f", str(DEV), "-f", str(file)]
        return self.helm(*words, "--wait", "--timeout", "5m")

    def _program(self, *words: str, given: str = "", wanted: int | None = 0) -> str:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig()), "PATH": f"{STATE / 'bin'}:{os.environ['PATH']}"}
        done = subprocess.run(
            words, input=given, capture_output=True, text=True, check=False, timeout=600, env=environment
        )
        said = done.stdout + done.stderr
        assert wanted is None or done.returncode == wanted, f"{' '.join(words)}: {done.returncode}\n{said}"
        return said

    # --- data ----------------------------------------------------------------------------------------

    def fill(self, claim: str, *folders: Path) -> None:
        """Copy folders into a volume, as somebody with a laptop would."""
        self.kubectl("apply", "-f", "-", given=json.dumps(_volume(claim)))
        self.kubectl("apply", "-f", "-", given=json.dumps(_filler(claim, self.images.control)))
        self.kubectl("wait", "--for=condition=Ready", f"pod/fill-{claim}", "--timeout=120s")
        for folder in folders:
            self.kubectl("cp", str(folder), f"fill-{claim}:/data/{folder.name}")
        self.kubectl("delete", "pod", f"fill-{claim}", "--grace-period=0", "--force", wanted=None)

    # --- the kubectl door ----------------------------------------------------------------------------

    async def apply(self, name: str, spec: Mapping[str, Any]) -> Object:
        """kubectl apply."""
        body = {"apiVersion": RUNS.version, "kind": "FineTuneRun", "metadata": {"name": name}, "spec": dict(spec)}
        self.kubectl("apply", "-f", "-", given=json.dumps(body))
        return await self.read(name)

    async def read(self, name: str) -> Object:
        """kubectl get, as an object."""
        return await self.kube.read(RUNS, self.namespace, name)

    async def until(self, name: str, reached: Callable[[Object], bool], *, seconds: float = 300) -> Object:
        """The resource once its status satisfies `reached`; fails with the status that it had, also when it ended."""
        status: Object = {}
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                found = await self.read(name)
            except NotFound:
                found = {}
            status = found.get("status", {})
            if reached(status):
                return found
            assert phase(status) not in ("Failed", "Cancelled"), f"{name} ended: {describe(status)}"
            await asyncio.sleep(0.5)
        raise AssertionError(f"{name} never got there: {describe(status)}")

    async def let_go(self) -> None:
        """Take the finalizers off all runs of the namespace."""
        async for run in self.kube.every(RUNS, self.namespace):
            await self.kube.merge(RUNS, self.namespace, run["metadata"]["name"], {"metadata": {"finalizers": []}})

    # --- the gRPC door -------------------------------------------------------------------------------

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """A client as after `posology connect`, in this namespace."""
        program = shutil.which("kubectl", path=f"{STATE / 'bin'}:{os.environ['PATH']}") or "kubectl"
        forwarded = Forwarded(self.namespace, self.name, kubeconfig=kubeconfig(), program=program)
        async with forwarded.open():
            folder = self.folder / "client"
            forwarded.write(folder, await forwarded.token())
            forwarded.write_certificate(folder, await forwarded.certificate())
            async with Client(Installation.discover(folder), namespace=self.namespace) as client:
                yield client


@asynccontextmanager
async def released(nodes: Nodes, images: Images, **values: Any) -> AsyncIterator[Release]:
    """A namespace that enforces the Pod Security Standard `restricted`, not yet installed into; deleted at the end."""
    async with Kube(nodes.access) as kube:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        made = await kube.create(NAMESPACES, "", {"metadata": {"generateName": "whole-", "labels": labels}})
        namespace = made["metadata"]["name"]
        with tempfile.TemporaryDirectory() as folder:
            own = {"operator": {"namespaces": [namespace]}, "aggregatedRoles": False}
            given = overlaid(overlaid(own, {"releasePolicy": micro_policy(Path(folder))}), values)
            release = Release(nodes, kube, images, namespace, Path(folder), values=given)
            crds = ("posology-crds", str(CHARTS / "posology-crds"), "-n", "default")
            release.helm("upgrade", "--install", *crds, "--take-ownership")  # other tests define it without Helm
            try:
                yield release
            finally:
                await _remove(release)


async def _remove(release: Release) -> None:
    if os.environ.get("POSOLOGY_TEST_KEEP"):
        return
    release.helm("uninstall", release.name, "--wait", wanted=None)
    await release.let_go()  # once no operator is left that would hold them again
    release.kubectl("delete", "jobs,pods,pvc", "--all", "--timeout=120s", wanted=None)
    await recycle(release.kube, release.namespace)
    await release.kube.delete(NAMESPACES, "", release.namespace)


def micro_policy(folder: Path) -> Object:
    """Values of a chart that brings the policy that micro.yaml can meet, signed by a key that no cluster has."""
    key, signed = folder / "policy.key", folder / "policy.json"
    command = [sys.executable, "-m", "posology.cli.app", "policy", "sign", str(_MICRO.with_name("policy.yaml"))]
    subprocess.run([*command, "--key", str(key), "--to", str(signed)], check=True, capture_output=True)
    public = key.with_suffix(".pub").read_text()
    return {"development": False, "envelope": signed.read_text(), "publicKey": public}


def micro_spec(*, data: str = "file:/data", **changes: Any) -> Object:
    """The micro spec with its places below `data` (examples/, base/, suites/) and without reviews."""
    text = _MICRO.read_text().replace("../../../examples", f"{data}/examples")
    text = text.replace("${base}", f"{data}/base").replace("${suites}", f"{data}/suites")
    spec: Object = yaml.safe_load(text)["spec"]
    spec["curation"].pop("review")
    spec["curation"]["preferences"].pop("review")
    return overlaid(spec, changes)


def phase(status: Mapping[str, Any]) -> str:
    """The phase that a status shows."""
    return str(status.get("phase", ""))


def state_of(status: Mapping[str, Any], stage: str) -> str:
    """The state of one stage in a status; "" before there are stages."""
    return next((str(found["state"]) for found in status.get("stages") or () if found["stage"] == stage), "")


def describe(status: Mapping[str, Any]) -> str:
    """A status for the message of a failed test."""
    return json.dumps(status, indent=1)[:4000]


def kubeconfig() -> Path:
    """That of the environment, else the tool's."""
    return Path(os.environ.get("KUBECONFIG", STATE / "kubeconfig"))


def _volume(claim: str) -> Object:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim}, "spec": spec}


def _filler(claim: str, image: str) -> Object:
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "fill",
        "image": image,
        "command": ["sleep", "3600"],
        "securityContext": restricted,
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": claim}}
    spec = {"securityContext": security, "containers": [container], "volumes": [volume]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"fill-{claim}"}, "spec": spec}
