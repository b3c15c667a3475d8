"""A released model becomes a pod that answers through the gateway, and that pod holds no more than it needs."""

import json

import pytest
from cluster.serving.world import Open

pytestmark = [pytest.mark.cluster, pytest.mark.asyncio(loop_scope="session")]

_REACH = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 3).close()
    print("open")
except OSError as error:
    print("refused")
"""
_ASK = """
import ssl, sys, urllib.request, urllib.error
anybody = ssl._create_unverified_context()
try:
    print(urllib.request.urlopen(sys.argv[1], timeout=5, context=anybody).status)
except urllib.error.HTTPError as error:
    print(error.code)
"""
_READ = """
import fsspec, json, os, sys
fs = fsspec.filesystem("s3", **json.loads(os.environ["RELEASED"]))
for bucket in sys.argv[1:]:
    try:
        print(len(fs.ls(bucket)))
    except PermissionError:
        print("denied")
"""


async def test_a_released_model_answers_through_the_gateway(release: Open) -> None:
    async with release.deployed("answers") as model:
        whole, stream = await release.ask(model), await release.ask(model, stream=True)
        assert whole.status_code == 200, whole.text
        assert stream.text.endswith("data: [DONE]\n\n")
        assert stream.headers["x-posology-model-digest"] == whole.headers["x-posology-model-digest"]


async def test_only_the_agent_is_reachable_and_it_wants_a_token(release: Open) -> None:
    async with release.deployed("closed"):
        [pod] = await release.world.pods()
        address = pod["status"]["podIP"]
        assert await release.world.python("gateway", _REACH, address, "8000") == "refused"
        assert await release.world.python("gateway", _REACH, address, "8080") == "open"
        assert await release.world.python("gateway", _ASK, f"https://{address}:8080/status") == "401"
        assert await release.world.python("gateway", _ASK, f"https://{address}:8080/ready") == "200"


async def test_an_engine_reads_what_was_released_and_nothing_else(release: Open) -> None:
    async with release.deployed("reads"):
        buckets = [release.world.buckets[name] for name in ("released", "candidates", "staging")]
        said = await release.world.python("engine", _READ, *buckets, container="agent")
        released, candidates, staging = said.split()
        assert int(released) > 0
        assert (candidates, staging) == ("denied", "denied")
        [pod] = await release.world.pods()
        assert not pod["spec"]["automountServiceAccountToken"]
        assert {c["name"] for c in pod["spec"]["containers"]} == {"engine"}


async def test_a_deployment_that_is_deleted_leaves_nothing_behind(release: Open) -> None:
    async with release.deployed("gone"):
        pass
    assert await release.world.engines() == []
    assert await release.world.pods() == []


async def test_the_cluster_s_hindrance_is_the_deployment_s_reason(release: Open) -> None:
    model = release.world.installation.weights("greedy")
    release.world.installation.verdict(model, seed="greedy", modelName="greedy")
    await release.create("greedy", model, gpus=64)
    said = await release.until_reason("greedy", "nvidia.com/gpu")
    assert "waits for a node with enough nvidia.com/gpu (asks for 64)" in said, json.dumps(said)
    await release.delete("greedy")
