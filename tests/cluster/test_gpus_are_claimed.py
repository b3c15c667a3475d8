"""Pods that claim GPUs by dynamic resource allocation, on an API server that has resource.k8s.io/v1."""

from typing import Any

import pytest
from unit.jobs.test_attempts_as_kubernetes_jobs import PODS, launch
from unit.serving.test_engines_as_pods import LAUNCH, renderer

from posology.core.jobs.launchers.kubernetes.manifest import render_job
from posology.core.jobs.launchers.kubernetes.pods import NodePool
from posology.core.kube import Kube, Resource
from posology.serving.launcher import Launch

pytestmark = pytest.mark.cluster
TEMPLATES = Resource("resource.k8s.io/v1", "resourceclaimtemplates")
ONE_GPU = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.nvidia.com"}}]}}
POOL = {"gpu": {"resourceClaimTemplate": "one-gpu"}}


async def test_workers_and_engines_with_claims_are_what_the_api_server_takes(kube: Kube, namespace: str) -> None:
    """A field that it does not know would be dropped without a word: what comes back is compared."""
    await kube.create(TEMPLATES, namespace, {"metadata": {"name": "one-gpu"}, "spec": {"spec": ONE_GPU}})
    pools = {"gpu": NodePool.model_validate(POOL["gpu"])}
    worker = render_job(launch(gpus=2), PODS.model_copy(update={"pools": pools}), service="training")
    engine = renderer(pools=POOL).deployment(Launch(**{**vars(LAUNCH), "gpus": 2}), nonce="n1")
    for kind, made in ((Resource("batch/v1", "jobs"), worker), (Resource("apps/v1", "deployments"), engine)):
        assert claims(await kube.create(kind, namespace, made)) == claims(made) != ([], [])


def claims(owner: Any) -> tuple[Any, Any]:
    pod = owner["spec"]["template"]["spec"]
    return pod.get("resourceClaims", []), [c["resources"].get("claims", []) for c in pod["containers"]]
