"""Demonstration: helm install, kubectl apply, training on a GPU node, and a streamed answer from vLLM in a pod."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cluster.whole.images import Images
from cluster.whole.installation import GPU_POOL, Release, micro_spec, phase, released
from cluster_nodes import Nodes

pytestmark = [pytest.mark.cluster, pytest.mark.demonstration, pytest.mark.timeout(2400)]


@pytest.fixture
async def release(nodes: Nodes, built: Images, micro_data: Path) -> AsyncIterator[Release]:
    """An installed release with the micro data in its sources volume."""
    values = {"sources": {"claim": "data"}, "workers": {"pools": {"gpu": GPU_POOL}}}
    async with released(nodes, built, **values) as found:
        found.fill("data", micro_data / "base", micro_data / "suites", Path("examples"))
        found.install()
        yield found


@pytest.mark.smoke
async def test_a_resource_becomes_a_streamed_answer(release: Release) -> None:
    spec = micro_spec(training={"resources": {"gpus": 1, "nodePool": "gpu"}})
    await release.apply("micro", spec)
    done = await release.until("micro", lambda status: phase(status) == "Succeeded", seconds=1200)
    assert "gpu" in nodes_of(release, "sft")
    async with release.connected() as client:
        key = await client.create_key("test")
        text = await streamed(client.installation.require_gateway(), key.secret, "micro")
    assert text
    assert done["status"]["phase"] == "Succeeded"


def nodes_of(release: Release, stage: str) -> set[str]:
    """Nodes on which pods of a stage ran."""
    pods = json.loads(release.kubectl("get", "pods", "-o", "json"))["items"]
    return {pod["spec"].get("nodeName", "") for pod in pods if stage in pod["metadata"]["name"]}


async def streamed(url: str, secret: str, model: str) -> str:
    """The text of one streamed answer."""
    body = {"model": model, "stream": True, "max_tokens": 16, "messages": [{"role": "user", "content": "What is it?"}]}
    parts: list[str] = []
    async with (
        httpx.AsyncClient(timeout=120) as http,
        http.stream(
            "POST", f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {secret}"}
        ) as got,
    ):
        assert got.status_code == 200, await got.aread()
        async for line in got.aiter_lines():
            if line.startswith("data: {"):
                parts += [choice["delta"].get("content") or "" for choice in json.loads(line[6:])["choices"]]
    return "".join(parts)
