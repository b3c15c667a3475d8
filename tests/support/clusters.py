"""A real API server for tests: the one of KUBECONFIG, else the tool that may lie beside the checkout."""

import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from posology.core.kube import ClusterConfig, Kube, Resource
from support.servers import REPOSITORY

RUNS = Resource("posology.dev/v1alpha1", "finetuneruns")
EVENTS = Resource("v1", "events")
NAMESPACES = Resource("v1", "namespaces")
CRDS = Resource("apiextensions.k8s.io/v1", "customresourcedefinitions")

STATE = Path(os.environ.get("CLUSTER_STATE", "/var/lib/posology-cluster"))
"""Where the tool beside the checkout keeps its cluster."""
_TOOL = REPOSITORY.parent / "shared" / "tools" / "cluster"
_DEFINITIONS = REPOSITORY / "charts" / "posology-crds" / "templates"


@contextmanager
def api_server() -> Iterator[ClusterConfig]:
    """Access as an administrator; what was not running before is stopped again."""
    if "KUBECONFIG" in os.environ:
        yield ClusterConfig.discover()
        return
    if not _TOOL.exists() or os.geteuid() != 0:
        pytest.skip("no Kubernetes: set KUBECONFIG to a cluster on which custom resources may be defined")
    ran_before = _is_running(STATE)
    done = subprocess.run([_TOOL, "up", "--control-plane"], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"the tool beside the checkout could not start an API server: {done.stderr[-300:]}")
    yield ClusterConfig.from_kubeconfig(STATE / "kubeconfig")
    if not ran_before:
        subprocess.run([_TOOL, "down"], capture_output=True, check=False, timeout=120)


def _is_running(state: Path) -> bool:
    try:
        os.kill(int((state / "run" / "kube-apiserver.pid").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


async def define_runs(kube: Kube) -> None:
    """Install or refresh the custom resources, and wait until they are served."""
    for file in sorted(_DEFINITIONS.glob("*.yaml")):
        definition = yaml.safe_load(file.read_text())
        name = definition["metadata"]["name"]
        path = f"{CRDS.path(name=name)}?fieldManager=tests&force=true"
        headers = {"content-type": "application/apply-patch+yaml"}
        applied = await kube._http.patch(path, json=definition, headers=headers)
        assert applied.is_success, applied.text
        while not _established(await kube.read(CRDS, "", name)):
            pass


def _established(definition: dict[str, Any]) -> bool:
    conditions = definition.get("status", {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


@asynccontextmanager
async def new_namespace(kube: Kube) -> AsyncIterator[str]:
    """A namespace of its own; deleted afterwards, finalizers and all."""
    name = f"t-{uuid.uuid4().hex[:10]}"
    await kube.create(NAMESPACES, "", {"metadata": {"name": name}})
    yield name
    async for left in kube.every(RUNS, name):
        if left["metadata"].get("finalizers"):
            await kube.merge(RUNS, name, left["metadata"]["name"], {"metadata": {"finalizers": []}})
    await kube.delete(NAMESPACES, "", name)


def resource(name: str, **changes: Any) -> dict[str, Any]:
    """A small valid FineTuneRun; `changes` replace top-level keys of its spec."""
    spec = {
        "baseModel": {"uri": "file:/models/nano"},
        "curation": {"sources": [{"uri": "file:/labels", "format": "SPL"}], "pairs": 30, "validation": 5},
        "evaluation": {
            "suites": [{"name": "mcq", "uri": "file:/suites/mcq.jsonl"}],
            "gates": [{"suite": "mcq", "atLeast": 0.5}],
        },
    }
    given = {key: value for key, value in (spec | changes).items() if value is not None}
    return {"apiVersion": RUNS.version, "kind": "FineTuneRun", "metadata": {"name": name}, "spec": given}
