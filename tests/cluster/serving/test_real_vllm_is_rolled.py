"""The same with real vLLM in the pods, and a real model of random weights."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cluster.serving.images import vllm
from cluster.serving.world import DEPLOYMENTS, Open, eventually
from pipeline.serving.test_real_vllm_serves_what_was_evaluated import _python, evaluate
from support.servers import REPOSITORY

from posology.core.attestations.verdict import PREDICATE_TYPE
from posology.core.signing import statement

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.demonstration,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(1500),
]
CLIENTS = 8
NAME = "real"


async def test_vllm_is_rolled_under_eight_streaming_clients_and_cuts_nothing(release: Open, tmp_path: Path) -> None:
    world, installation = release.world, release.world.installation
    folder = tmp_path / "tiny"
    script = REPOSITORY / "tests/pipeline/engine/make_tiny_model.py"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([_python("worker"), script, folder], env=environment, check=True)
    weights = installation.candidates.publish(folder, kind="model", producer="tests")
    observed = {**await evaluate(folder), "modelName": NAME}
    verdict = json.dumps(installation.signer.sign(statement(PREDICATE_TYPE, {"model": weights}, observed)))
    resources = {"requests": {"cpu": "10m", "memory": "1Gi"}, "limits": {"memory": "6Gi"}}
    await world.install(image=vllm(world.nodes), python="python3", resources=resources, startSeconds=600)
    await release.again()
    await release.create(NAME, weights, verdict=verdict)
    await release.service.until("READY", name=NAME, seconds=600)
    await eventually(lambda: release.answers(NAME))
    [before] = await world.pods()
    async with release.streaming(NAME, clients=CLIENTS, tokens=120) as answers:
        [engine] = await world.engines()
        change = {"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}}}
        await world.kube.merge(DEPLOYMENTS, world.namespace, engine["metadata"]["name"], change)
        await eventually(lambda: release.only_another(before), within=600)
    assert answers.failures() == []
    assert len(answers.responses) > 2 * CLIENTS
    await release.delete(NAME)
