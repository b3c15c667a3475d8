"""Weights that an earlier engine left are used again, and believed no more than weights that come from elsewhere."""

import asyncio
import os
import signal
from pathlib import Path

from service.serving.serving_world import PROMPT, Installation, Service, ask
from support import vllm_protocol

from posology.core.artifacts import describe
from posology.v1alpha1 import serving_pb2 as pb


def cached(installation: Installation, model: str) -> Path:
    return installation.root / "serving" / "weights" / model.removeprefix("sha256:")


def said(installation: Installation, name: str) -> str:
    return (installation.root / "serving" / "replicas" / f"default.{name}.0" / "agent.log").read_text()


async def served(service: Service, model: str, name: str) -> str:
    """Deploy, and what its engine answers."""
    verdict = service.installation.verdict(model, modelName=name)
    await service.create(model, verdict=verdict, name=name, spec=pb.ServingSpec(model_name=name))
    await service.until("READY", name=name)
    [route] = [r for r in (await service.routes()).routes if r.model_name == name]
    answer: str = (await ask(route)).json()["choices"][0]["message"]["content"]
    return answer


def evaluated(installation: Installation) -> str:
    weights = vllm_protocol.weights_digest(installation.root / "models" / "one")
    return " ".join(vllm_protocol.WORDS[i] for i in vllm_protocol.answer_ids(weights, PROMPT, 8))


async def test_weights_that_lie_there_are_not_fetched_again(service: Service) -> None:
    model = service.installation.weights()
    service.installation.verdict(model)
    assert await served(service, model, "first") == evaluated(service.installation)
    kept = cached(service.installation, model) / "model.safetensors"
    before = kept.stat().st_ino
    assert await served(service, model, "second") == evaluated(service.installation)
    assert kept.stat().st_ino == before


async def test_an_altered_copy_is_thrown_away_and_said(service: Service) -> None:
    model = service.installation.weights()
    service.installation.verdict(model)
    await served(service, model, "first")
    folder = cached(service.installation, model)
    altered, stranger = folder / "model.safetensors", folder / "pytorch_model.bin"
    altered.chmod(0o600)
    altered.write_bytes(bytes(len(altered.read_bytes())))  # of the same size
    stranger.write_bytes(b"what a loader might prefer")
    assert await served(service, model, "second") == evaluated(service.installation)
    assert describe(folder) == service.installation.released.manifest(model).files
    log = said(service.installation, "second")
    assert f"{altered} was altered or damaged; it is thrown away and fetched anew" in log
    assert f"{stranger} does not belong there; it is removed" in log


async def test_a_copy_that_became_a_link_is_thrown_away(service: Service, tmp_path: Path) -> None:
    model = service.installation.weights()
    service.installation.verdict(model)
    await served(service, model, "first")
    folder = cached(service.installation, model)
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert await served(service, model, "second") == evaluated(service.installation)
    assert not folder.is_symlink()


async def test_engines_that_start_at_the_same_time_share_what_they_fetch(service: Service) -> None:
    model = service.installation.weights()
    service.installation.verdict(model)
    await service.create(model, spec=pb.ServingSpec(model_name="labels", replicas=3))
    assert (await service.until("READY")).ready_replicas == 3
    assert describe(cached(service.installation, model)) == service.installation.released.manifest(model).files


async def test_an_agent_killed_while_it_fetches_leaves_nothing_that_is_believed(service: Service) -> None:
    folder = vllm_protocol.make_model(service.installation.root / "models" / "one")
    (folder / "large.safetensors").write_bytes(bytes(400 << 20))
    model = service.installation.candidates.publish(folder, kind="model", producer="tests")
    service.installation.verdict(model)
    await service.create(model)
    partial = cached(service.installation, model).with_name(f".{cached(service.installation, model).name}.partial")
    async with asyncio.timeout(60):
        while not any(path.stat().st_size > 1 << 20 for path in partial.glob("*")):
            await asyncio.sleep(0.002)
    os.kill(service.agents()["default.first.0"], signal.SIGKILL)
    left = {path.name for path in cached(service.installation, model).glob("*")}
    assert "large.safetensors" not in left
    await service.until("READY")
    assert describe(cached(service.installation, model)) == service.installation.released.manifest(model).files
    assert not partial.exists()
