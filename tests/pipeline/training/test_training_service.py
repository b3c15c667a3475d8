"""The whole of training through its service: import, train, prefer, merge; signed, recorded, and in the catalog."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from google.protobuf.json_format import ParseDict
from support.training_bench import DPO, SFT, Bench
from support.training_world import PARENT, World
from support.training_world import world as open_world

from posology.core import audit
from posology.core.attestations.provenance import PREDICATE_TYPE as PREDICATE
from posology.core.errors import PosologyError
from posology.core.signing import PublicKey, verify
from posology.core.store import Database
from posology.v1alpha1 import catalog_pb2, job_pb2
from posology.v1alpha1 import training_pb2 as pb

pytestmark = pytest.mark.slow
SUCCEEDED = job_pb2.JobStatus.SUCCEEDED


async def test_a_base_model_becomes_a_merged_model_with_signed_provenance(bench: Bench, tmp_path: Path) -> None:
    async with open_world(tmp_path, allowed_model_folders=(bench.root,), worker_cpus=1) as world:
        base = await imported(world, "base", f"file:{bench.root}/model-base")
        assert base.status.state == SUCCEEDED, base.status.error
        data = world.publish(bench.root / "dataset", "dataset")
        preferences = world.publish(bench.root / "preferences", "preferences")
        sft = await trained(world, "sft", base, sft={"dataset": data, "config": SFT})
        dpo = await trained(
            world, "dpo", base, dpo={"sft": sft.status.artifact, "preferences": preferences, "config": DPO}
        )
        request = pb.MergeAdapterRequest(
            parent=PARENT,
            training_job_id="merge",
            base_model=base.status.artifact,
            adapter=dpo.status.artifact,
        )
        merged = await over(world, (await world.training.MergeAdapter(request)).name)

        assert 0 <= float(str(merged.status.summary["kl"])) < 1e-6
        assert signed_by_training(world, merged)["subject"][0]["digest"]["sha256"] in merged.status.artifact
        lineage = await world.catalog.TraceArtifact(
            catalog_pb2.TraceArtifactRequest(
                name=f"{PARENT}/artifacts/{merged.status.artifact.removeprefix('sha256:')}",
                direction=catalog_pb2.TraceArtifactRequest.ANCESTORS,
            )
        )
        assert {each.digest for each in lineage.artifacts} >= {
            merged.status.artifact,
            dpo.status.artifact,
            sft.status.artifact,
            base.status.artifact,
        }
        await the_trail_is_whole(world)

        refused = await imported(world, "mute", f"file:{bench.root}/model-mute")
        assert refused.status.state == job_pb2.JobStatus.FAILED
        assert refused.status.attempt == 1
        assert "chat_template" in refused.status.error.message
        assert not refused.status.artifact


async def imported(world: World, name: str, uri: str) -> pb.BaseModel:
    request = pb.CreateBaseModelRequest(parent=PARENT, base_model_id=name, spec=pb.BaseModelSpec(uri=uri))
    found = await world.over((await world.training.CreateBaseModel(request)).name)
    assert isinstance(found, pb.BaseModel)
    return found


async def trained(world: World, name: str, base: pb.BaseModel, **task: object) -> pb.TrainingJob:
    spec = ParseDict({"baseModel": base.status.artifact, **task}, pb.TrainingJobSpec())
    request = pb.CreateTrainingJobRequest(parent=PARENT, training_job_id=name, spec=spec)
    return await over(world, (await world.training.CreateTrainingJob(request)).name)


async def over(world: World, name: str) -> pb.TrainingJob:
    found = await world.over(name)
    assert isinstance(found, pb.TrainingJob)
    assert found.status.state == SUCCEEDED, found.status.error.message
    return found


def signed_by_training(world: World, job: pb.TrainingJob) -> dict[str, list[dict[str, dict[str, str]]]]:
    """The statement, if training's own key signed it; it names what went in."""
    key = PublicKey.load(world.root / "keys/training.pub")
    statement = verify(json.loads(job.statement), [key], predicate_type=PREDICATE)
    build = statement["predicate"]["buildDefinition"]
    assert job.spec.merge.adapter.removeprefix("sha256:") in {
        each["digest"]["sha256"] for each in build["resolvedDependencies"]
    }
    return statement


async def the_trail_is_whole(world: World) -> None:
    db = Database(f"sqlite:///{world.root}/db/training.sqlite")
    async with db.read() as tx:
        entries = [entry async for entry in audit.entries(tx)]
    await db.close()
    audit.verify_chain(entries)
    actions = [entry.action for entry in entries]
    assert actions.count("artifact.attested") == 4
    assert actions.count("job.created") == 4


async def test_metrics_reach_a_watcher_and_a_cancelled_job_ends(bench: Bench, tmp_path: Path) -> None:
    async with open_world(tmp_path, allowed_model_folders=(bench.root,), worker_cpus=1) as world:
        base = world.publish(bench.root / "model-base", "base-model")
        data = world.publish(bench.root / "dataset", "dataset")
        config = {**SFT, "maxSteps": 100000, "checkpointSteps": 50}
        spec = ParseDict({"baseModel": base, "sft": {"dataset": data, "config": config}}, pb.TrainingJobSpec())
        request = pb.CreateTrainingJobRequest(parent=PARENT, training_job_id="long", spec=spec)
        job = await world.training.CreateTrainingJob(request)
        seen = await first(world, job.name, lambda event: event.metric.step >= 3 and "loss" in event.metric.values)
        assert {"loss", "learning_rate", "grad_norm", "tokens_per_second"} <= set(seen.metric.values)
        await world.training.CancelTrainingJob(pb.CancelTrainingJobRequest(name=job.name))
        ended = await world.over(job.name)
        assert ended.status.state == job_pb2.JobStatus.CANCELLED


async def first(world: World, name: str, wanted: Callable[[job_pb2.JobEvent], bool]) -> job_pb2.JobEvent:
    async for event in world.training.WatchTrainingJob(job_pb2.WatchJobRequest(name=name)):
        if wanted(event):
            return event
    raise PosologyError(f"{name} ended before")


async def test_a_preflight_is_published_or_refused_with_every_field(bench: Bench, tmp_path: Path) -> None:
    async with open_world(tmp_path, allowed_model_folders=(bench.root,), worker_cpus=1) as world:
        base = world.publish(bench.root / "model-base", "base-model")
        task = {
            "dataset": world.publish(bench.root / "dataset", "dataset"),
            "preferences": world.publish(bench.root / "preferences", "preferences"),
            "training": {"sft": SFT, "dpo": DPO},
        }
        outcomes = []
        for name, longest in (("good", 256), ("short", 64)):
            task["training"] = {"sft": {**SFT, "maxLength": longest}, "dpo": {**DPO, "maxLength": longest}}
            spec = ParseDict({"baseModel": base, "preflight": task}, pb.TrainingJobSpec())
            request = pb.CreateTrainingJobRequest(parent=PARENT, training_job_id=name, spec=spec)
            outcomes.append(await world.over((await world.training.CreateTrainingJob(request)).name))
        good, short = outcomes
        assert isinstance(good, pb.TrainingJob)
        assert good.status.state == SUCCEEDED, good.status.error
        assert good.status.artifact
        assert good.statement
        fields = [each.field for each in short.status.error.violations]
        assert fields == ["spec.training.sft.maxLength", "spec.training.dpo.maxLength"]
        assert short.status.attempt == 1
