"""The claims of `tests/service/serving`, against real vLLM and a real model of random weights."""

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from service.serving.asking import Client, free_port, in_front, until_served
from service.serving.serving_world import Installation, serving
from support import release

from posology.core import errors
from posology.core.attestations.verdict import PREDICATE_TYPE
from posology.core.signing import statement
from posology.engine import Engine, EngineConfig, EngineHost
from posology.v1alpha1 import engine_pb2
from posology.v1alpha1 import serving_pb2 as pb

ROOT = Path(__file__).resolve().parents[3]
PROMPTS = ["What is the starting dose?", "May I take it with food?", "Is it safe in pregnancy?"]

pytestmark = pytest.mark.slow


def _python(role: str) -> str:
    found = Path(os.environ.get(f"POSOLOGY_{role.split('-')[0].upper()}_PYTHON", ROOT / f".venv/{role}/bin/python"))
    if not found.exists():
        pytest.skip(f"no {role} environment at {found}; `make test` builds it")
    return str(found)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A random Llama of the nano model's shape, written by the worker's libraries."""
    folder = tmp_path / "tiny"
    script = ROOT / "tests/pipeline/engine/make_tiny_model.py"
    done = subprocess.run([_python("worker"), script, folder], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert done.returncode == 0
    return folder


async def evaluate(folder: Path) -> dict[str, Any]:
    """What an evaluation's throw-away engine observes: its configuration and the probes."""
    host = EngineHost(python=_python("engine-cpu"))
    async with Engine.start(folder, EngineConfig(max_model_len=256), host=host, name="labels") as engine:
        probes = await engine.probe(PROMPTS, max_tokens=16)
        return {**release.proven(), "engine": engine.config.to_dict(), "probes": [p.to_dict() for p in probes]}


async def test_a_released_model_answers_over_the_gateway_and_drains(tmp_path: Path, model: Path) -> None:
    installation = Installation(tmp_path)
    installation.engine_python = Path(_python("engine-cpu"))
    weights = installation.candidates.publish(model, kind="model", producer="tests")
    observed = await evaluate(model)
    envelope = json.dumps(installation.signer.sign(statement(PREDICATE_TYPE, {"model": weights}, observed)))
    port = free_port()
    async with serving(installation, listen=f"127.0.0.1:{port}") as service, in_front(service, port) as asking:
        other = engine_pb2.EngineConfig(max_model_len=128)
        with pytest.raises(errors.FailedPrecondition, match="max_model_len is 128, not 256"):
            await service.create(weights, verdict=envelope, engine=other)
        await service.create(weights, verdict=envelope)
        await service.until("READY", seconds=300)
        await until_served(asking)
        await _answers(asking)
        await _survives(asking, service)
        await _drains(asking, service)


async def _answers(asking: Client) -> None:
    whole = await asking.ask(temperature=0, max_tokens=20, ignored=None)
    assert whole.status_code == 200, whole.text
    assert whole.json()["id"] == "chatcmpl-" + whole.headers["x-posology-answer"].rpartition("/")[2]
    stream = await asking.ask(temperature=0, max_tokens=20, stream=True)
    assert stream.headers["x-posology-model-digest"] == whole.headers["x-posology-model-digest"]
    events = [json.loads(line[6:]) for line in stream.text.splitlines() if line.startswith("data: {")]
    text = "".join(c["delta"].get("content") or "" for e in events for c in e["choices"])
    assert text == whole.json()["choices"][0]["message"]["content"]
    clamped = await asking.ask(max_tokens=100_000)
    assert clamped.status_code == 200, clamped.text
    completion = await asking.http.post("/v1/completions", json={"model": "labels", "prompt": "Take", "max_tokens": 5})
    assert completion.json()["usage"]["completion_tokens"] <= 5
    assert "x-posology-verdict" in completion.headers


async def _survives(asking: Client, service: Any) -> None:
    """kill -9 of the serving service while clients ask."""
    asking.responses.clear()
    before = service.agents()
    async with asking.busily():
        await service.kill()
        await service.restart()
        await service.until("READY")
    assert service.agents() == before
    assert asking.failures() == []


async def _drains(asking: Client, service: Any) -> None:
    """A deployment that is deleted finishes what runs, under vLLM's own shutdown too."""
    streams = [asyncio.ensure_future(asking.ask(max_tokens=200, stream=True, temperature=1)) for _ in range(4)]
    await asyncio.sleep(0.3)
    await service.rpc.DeleteDeployment(pb.DeleteDeploymentRequest(name="namespaces/default/deployments/first"))
    whole = [response.text.endswith("data: [DONE]\n\n") for response in await asyncio.gather(*streams)]
    assert whole == [True] * 4
    await service.until("STOPPED", seconds=120)
