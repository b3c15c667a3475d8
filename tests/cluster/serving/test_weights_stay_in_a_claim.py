"""Weights in a claim outlive the pod that fetched them, and the next pod believes none of them unread."""

import asyncio
import subprocess

import pytest
from cluster.serving.world import PODS, Object, Open, eventually

from posology.core.errors import PermissionDenied
from posology.core.kube import Resource
from posology.serving.domain import ONLY_PASS

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]
CLAIMS = Resource("v1", "persistentvolumeclaims")
_WRITE = """
import pathlib, sys
[kept] = pathlib.Path("/posology/weights").glob("*/model.safetensors")
try:
    kept.chmod(0o600)
    kept.write_bytes(bytes(kept.stat().st_size))
    print("altered")
except OSError as error:
    print(error.strerror)
"""


async def test_a_pod_finds_the_weights_of_the_one_before_and_mends_what_was_altered(release: Open) -> None:
    await _with_a_claim(release)
    installation = release.world.installation
    model = installation.weights("claimed")
    installation.verdict(model, seed="claimed", modelName="claimed")
    await release.create("claimed", model)
    await release.until("READY", "claimed")
    assert await release.world.python("engine", _WRITE, container="engine") == "Read-only file system"
    assert await release.world.python("engine", _WRITE, container="agent") == "altered"
    await release.delete("claimed")
    installation.verdict(model, seed="claimed", modelName="kept-again")
    await release.create("kept-again", model)
    await release.until("READY", "kept-again")  # its probes answer as the evaluated weights did
    said = await _log(release)
    assert "model.safetensors was altered or damaged; it is thrown away and fetched anew" in said
    assert "config.json was" not in said
    await release.delete("kept-again")
    await release.world.install()
    await release.again()


async def test_nobody_else_mounts_the_claim(release: Open) -> None:
    await _with_a_claim(release)
    security = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    container = {
        "name": "alters",
        "image": "busybox",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    volume = {"name": "weights", "persistentVolumeClaim": {"claimName": "weights"}}
    spec = {"securityContext": security, "containers": [container], "volumes": [volume]}
    pod = {"metadata": {"name": "alters"}, "spec": spec}
    said = await eventually(lambda: _refusal(release, pod))  # a changed policy holds after some seconds
    assert "was not made by posology-serving" in said
    assert ONLY_PASS in said
    await release.world.install()
    await release.again()


async def _refusal(release: Open, pod: Object) -> str:
    kube, namespace = release.world.kube, release.world.namespace
    try:
        await kube.create(PODS, namespace, pod)
    except PermissionDenied as error:
        return error.message
    await kube.delete(PODS, namespace, pod["metadata"]["name"], gracePeriodSeconds=0)
    return ""


async def _with_a_claim(release: Open) -> None:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "weights"}, "spec": spec}
    await release.world.kube.apply(CLAIMS, release.world.namespace, claim)
    await release.world.install(cache={"claim": "weights"})
    await release.again()


async def _log(release: Open) -> str:
    [pod] = await release.world.pods()
    command = ["kubectl", "-n", release.world.namespace, "logs", pod["metadata"]["name"], "-c", "agent"]
    done = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text=True)
    return done.stdout
