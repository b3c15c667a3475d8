"""Demonstration: helm install, kubectl apply, training on a GPU node, and a streamed answer from vLLM in a pod."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import yaml
from cluster.whole.images import Images
from cluster.whole.installation import GPU_POOL, Object, Release, micro_spec, phase, released
from support.cluster_nodes import Nodes
from support.servers import REPOSITORY

from posology.client.specfile import API_VERSION, KIND, parse_run

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3000)]
ON_GPU = {"resources": {"gpus": 1, "nodePool": "gpu"}}
SAMPLE = REPOSITORY / "k8s" / "sample-run.yaml"


@pytest.fixture
async def release(nodes: Nodes, built: Images, micro_data: Path) -> AsyncIterator[Release]:
    """An installed release with the micro data in its sources volume."""
    values = {"sources": {"claim": "data"}, "workers": {"pools": {"gpu": GPU_POOL}}}
    async with released(nodes, built, **values) as found:
        found.fill("data", micro_data / "base", micro_data / "suites", REPOSITORY / "examples")
        found.install()
        yield found


@pytest.mark.smoke
async def test_a_spec_becomes_a_streamed_answer_and_its_stages_serve_every_door(release: Release) -> None:
    spec = micro_spec(training=ON_GPU)
    await release.apply("micro", spec)
    first = await release.until("micro", succeeded, seconds=1500)
    assert nodes_of(release, "training") == {"gpu"}
    assert await answer(release, "micro")
    await by_grpc(release, "again", spec)
    release.install(runs={"by-helm": spec})
    [by_helm] = [name for name in names(release) if name.startswith("by-helm-")]
    for other in ("again", by_helm):
        found = await release.until(other, succeeded, seconds=300)
        assert found["status"]["links"]["dataset"] == first["status"]["links"]["dataset"]
        reused = {stage["stage"] for stage in found["status"]["stages"] if stage.get("reused")}
        assert {"curate", "sft", "dpo", "merge", "evaluate"} <= reused


async def test_the_sample_needs_nothing_but_the_chart(nodes: Nodes, built: Images) -> None:
    """A million parameters learn to read a label, are judged, and answer: from an empty namespace."""
    development = {"development": True, "envelope": "", "publicKey": ""}
    values = {"sample": {"enabled": True}, "workers": {"pools": {"gpu": GPU_POOL}}, "releasePolicy": development}
    async with released(nodes, built, **values) as release:
        release.install()
        release.kubectl("wait", "--for=condition=Complete", "job", "--all", "--timeout=900s")
        spec = yaml.safe_load(SAMPLE.read_text())["spec"]
        await release.apply("sample", {**spec, "training": spec["training"] | ON_GPU})
        done = await release.until("sample", succeeded, seconds=1800)
        assert nodes_of(release, "training") == {"gpu"}
        assert done["status"]["links"]["verdict"]
        assert await answer(release, "sample")


def succeeded(status: Object) -> bool:
    return phase(status) == "Succeeded"


def names(release: Release) -> list[str]:
    """Of every run in the namespace."""
    return release.kubectl("get", "finetuneruns", "-o", "jsonpath={.items[*].metadata.name}").split()


def nodes_of(release: Release, service: str) -> set[str]:
    """Nodes on which GPU workers of a service ran."""
    selector = f"app.kubernetes.io/component=worker,posology.dev/service={service}"
    pods = json.loads(release.kubectl("get", "pods", "-l", selector, "-o", "json"))["items"]
    return {pod["spec"]["nodeName"] for pod in pods if "nvidia.com/gpu" in json.dumps(pod["spec"]["containers"])}


async def by_grpc(release: Release, name: str, spec: Object) -> None:
    """Submit a spec as the command line does."""
    async with release.connected() as client:
        document = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}, "spec": spec}
        run = parse_run(document)
        await client.orchestrator.CreateRun(run.request(namespace=release.namespace))


async def answer(release: Release, model: str) -> str:
    """The text of one streamed answer of a model, through the gateway."""
    async with release.connected() as client:
        key = await client.create_key("test")
        return await streamed(client.installation.require_gateway(), key.secret, model)


async def streamed(url: str, secret: str, model: str) -> str:
    """What the gateway streams until it says that it is done."""
    body = {"model": model, "stream": True, "max_tokens": 16, "messages": [{"role": "user", "content": "What is it?"}]}
    headers = {"authorization": f"Bearer {secret}"}
    async with (
        httpx.AsyncClient(timeout=120) as http,
        http.stream("POST", f"{url}/v1/chat/completions", json=body, headers=headers) as got,
    ):
        lines = [line.removeprefix("data: ") async for line in got.aiter_lines() if line.startswith("data: ")]
        assert got.status_code == 200, lines
    assert lines[-1] == "[DONE]", lines
    chunks = [json.loads(line) for line in lines[:-1]]
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
