"""What the training service answers without training anything."""

import json
import time

import pytest
from support.model_files import LLAMA_8B, write_model
from support.teacher_server import define_endpoint
from support.training_world import PARENT, World, write_lines

from posology.core.errors import AlreadyExists, InvalidInput, NotFound, PermissionDenied
from posology.v1alpha1 import training_pb2 as pb


def sft(base: str, dataset: str, **config: object) -> pb.CreateTrainingJobRequest:
    task = pb.SftTask(dataset=dataset, config=pb.SftConfig(**config))  # type: ignore[arg-type]
    spec = pb.TrainingJobSpec(base_model=base, sft=task)
    return pb.CreateTrainingJobRequest(parent=PARENT, training_job_id="first", spec=spec, validate_only=True)


def inputs(world: World, *, hidden: int = 64) -> tuple[str, str]:
    """Digests of a base model and a data set."""
    base = world.publish(write_model(world.root / "drafts/base", hidden=hidden), "base-model")
    data = world.publish(write_lines(world.root / "drafts/data/train.jsonl", [{"id": "1"}]), "dataset")
    return base, data


async def test_a_plan_for_llama_8b_from_its_config_alone_takes_under_a_second(world: World) -> None:
    request = pb.PlanTrainingRequest(
        base_model=pb.BaseModelSpec(uri="hf://meta-llama/Llama-3.1-8B-Instruct", revision="a" * 40),
        training=pb.TrainingSpec(resources=pb.TrainingResources(gpus=1)),
        rows=5000,
        config_json=json.dumps(LLAMA_8B),
    )
    started = time.perf_counter()
    plan = await world.training.PlanTraining(request)
    assert time.perf_counter() - started < 1
    assert plan.parameters == 8_030_261_248
    assert plan.trainable_parameters == 13_631_488
    assert plan.sft_steps == 1875
    assert list(plan.warnings) == []
    assert "2e-4" in " ".join(plan.advice)
    parts = ("weights", "adapter", "gradients", "optimizer", "activations")
    assert plan.memory_mib["total"] == pytest.approx(sum(plan.memory_mib[part] for part in parts))


async def test_a_folder_is_inspected_without_loading_it(world: World) -> None:
    folder = write_model(world.root / "models/tiny")
    found = await world.training.InspectModel(pb.InspectModelRequest(base_model=pb.BaseModelSpec(uri=f"file:{folder}")))
    assert found.architecture == "LlamaForCausalLM"
    assert found.has_chat_template
    assert {(group.name, group.count) for group in found.modules} == {
        ("q_proj", 2),
        ("k_proj", 2),
        ("v_proj", 2),
        ("o_proj", 2),
        ("up_proj", 2),
    }


async def test_a_pushed_artifact_is_inspected_too(world: World) -> None:
    base, _ = inputs(world)
    request = pb.InspectModelRequest(base_model=pb.BaseModelSpec(uri=f"artifact:{base}"))
    assert (await world.training.InspectModel(request)).parameters == 100 * 64 + 2 * (4 * 64 * 64 + 2 * 64 * 64)


async def test_a_job_is_validated_without_being_made(world: World) -> None:
    base, data = inputs(world)
    job = await world.training.CreateTrainingJob(sft(base, data))
    assert job.name == f"{PARENT}/trainingJobs/first"
    assert job.spec.sft.config.rank == 16
    with pytest.raises(NotFound):
        await world.training.GetTrainingJob(pb.GetTrainingJobRequest(name=job.name))


async def test_every_input_that_does_not_exist_is_named_at_once(world: World) -> None:
    with pytest.raises(InvalidInput) as raised:
        await world.training.CreateTrainingJob(sft("sha256:" + "1" * 64, "sha256:" + "2" * 64))
    assert {each.field for each in raised.value.violations} == {"spec.base_model", "spec.sft.dataset"}


async def test_an_input_of_another_kind_is_refused(world: World) -> None:
    base, data = inputs(world)
    with pytest.raises(InvalidInput, match="is a dataset; wanted is one of base-model, model"):
        await world.training.CreateTrainingJob(sft(data, data))
    with pytest.raises(InvalidInput, match="is a base-model; wanted is one of dataset"):
        await world.training.CreateTrainingJob(sft(base, base))


async def test_a_module_that_the_model_lacks_is_refused_before_anything_starts(world: World) -> None:
    with pytest.raises(InvalidInput) as raised:
        await world.training.CreateTrainingJob(sft(*inputs(world), target_modules=["q_proj", "query"]))
    assert raised.value.violations[0].field == "spec.sft.config.targetModules"


async def test_nf4_on_a_model_whose_blocks_do_not_fit_is_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="Use LORA"):
        await world.training.CreateTrainingJob(sft(*inputs(world, hidden=96)))


@pytest.mark.parametrize("check", [True, False])
async def test_the_key_of_a_model_endpoint_is_sent_to_no_hub(world: World, check: bool) -> None:
    define_endpoint(world.root / "model-endpoints", "https://api.example.org/v1", credentialsSecret="teacher-key")
    spec = pb.BaseModelSpec(uri="hf://org/model", revision="a" * 40, credentials_secret="teacher-key")
    request = pb.CreateBaseModelRequest(parent=PARENT, base_model_id="hub", spec=spec, validate_only=check)
    with pytest.raises(InvalidInput, match="is the key of a model endpoint") as refused:
        await world.training.CreateBaseModel(request)
    assert refused.value.violations[0].field == "spec.credentialsSecret"


async def test_a_base_model_outside_the_allowed_folders_is_refused(world: World) -> None:
    spec = pb.BaseModelSpec(uri="file:/etc")
    with pytest.raises(PermissionDenied, match="outside the folders"):
        await world.training.CreateBaseModel(pb.CreateBaseModelRequest(parent=PARENT, base_model_id="etc", spec=spec))


async def test_a_hub_model_without_a_commit_is_refused(world: World) -> None:
    spec = pb.BaseModelSpec(uri="hf://org/name", revision="main")
    with pytest.raises(InvalidInput, match="40 hex digits"):
        await world.training.CreateBaseModel(pb.CreateBaseModelRequest(parent=PARENT, base_model_id="hub", spec=spec))


async def test_one_name_is_one_spec(world: World) -> None:
    base, data = inputs(world)
    request = sft(base, data)
    request.validate_only = False
    first = await world.training.CreateTrainingJob(request)
    assert (await world.training.CreateTrainingJob(request)).name == first.name
    request.spec.sft.config.rank = 8
    with pytest.raises(AlreadyExists):
        await world.training.CreateTrainingJob(request)
    await world.training.CancelTrainingJob(pb.CancelTrainingJobRequest(name=first.name))
    listed = await world.training.ListTrainingJobs(pb.ListTrainingJobsRequest(parent=PARENT))
    assert [job.name for job in listed.training_jobs] == [first.name]


async def test_a_name_of_another_kind_is_not_found_under_this_one(world: World) -> None:
    with pytest.raises(NotFound):
        await world.training.GetBaseModel(pb.GetBaseModelRequest(name=f"{PARENT}/baseModels/none"))


async def test_a_batch_that_the_gpus_cannot_share_is_refused_and_so_are_nodes_that_this_machine_is_not(
    world: World,
) -> None:
    request = sft(*inputs(world))
    request.spec.sft.config.batch_size, request.spec.resources.gpus = 9, 2
    with pytest.raises(InvalidInput, match="9 rows can't be shared among 2 processes"):
        await world.training.CreateTrainingJob(request)
    request.spec.sft.config.batch_size, request.spec.resources.nodes = 8, 2
    with pytest.raises(InvalidInput, match="several need a cluster"):
        await world.training.CreateTrainingJob(request)
