"""The only place that knows both the contract and the domain."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from posology.core.errors import InvalidInput
from posology.core.jobs.convert import job_status_to_proto
from posology.core.jobs.domain import Event, Job, Resources
from posology.training.base_models.models import Known
from posology.training.domain import (
    ADAMW,
    BaseModelSpec,
    Dpo,
    DpoTask,
    Lora,
    MergeTask,
    Method,
    Optimisation,
    PreflightTask,
    Schedule,
    Sft,
    SftTask,
    Task,
)
from posology.training.planning import shapes
from posology.training.planning.planned import MIB, Plan, memory_mib
from posology.v1alpha1 import training_pb2 as pb
from posology.v1alpha1.job_pb2 import Metric


def task_from_spec(spec: Mapping[str, Any]) -> Task:
    """What a job's stored JSON asks for."""
    return task_from_proto(json_format.ParseDict(dict(spec), pb.TrainingJobSpec()))


def task_from_proto(msg: pb.TrainingJobSpec) -> Task:
    """Defaults were written at admission."""
    match msg.WhichOneof("task"):
        case "sft":
            return sft_task_from_proto(msg.base_model, msg.sft)
        case "dpo":
            return DpoTask(msg.base_model, msg.dpo.sft, msg.dpo.preferences, dpo_from_proto(msg.dpo.config))
        case "merge":
            return MergeTask(msg.base_model, msg.merge.adapter)
        case "preflight":
            return preflight_from_proto(msg.base_model, msg.preflight)
    raise InvalidInput("spec names no task; set sft, dpo, merge or preflight")


def sft_task_from_proto(base_model: str, msg: pb.SftTask) -> SftTask:
    """What is trained on what."""
    return SftTask(base_model, msg.dataset, sft_from_proto(msg.config), msg.general, msg.general_share)


def preflight_from_proto(base_model: str, msg: pb.PreflightTask) -> PreflightTask:
    """What would be trained, and where."""
    training = msg.training
    return PreflightTask(
        base_model=base_model,
        dataset=msg.dataset,
        preferences=msg.preferences,
        sft=sft_from_proto(training.sft),
        dpo=dpo_from_proto(training.dpo) if training.HasField("dpo") else None,
        gpus=training.resources.gpus,
        nodes=training.resources.nodes or 1,
        memory=training.resources.memory_mib << 20,
        validation_rows=msg.validation_rows,
        general_share=msg.general_share if msg.HasField("general_share") else None,
        letter_suites=tuple(msg.letter_suites),
        general=msg.general,
    )


def sft_from_proto(msg: pb.SftConfig) -> Sft:
    """The recipe of SFT."""
    return Sft(
        method=Method(pb.SftConfig.Method.Name(msg.method)),
        lora=Lora(
            rank=msg.rank,
            alpha=_alpha(msg, rslora=msg.use_rslora),
            dropout=msg.dropout,
            target_modules=tuple(msg.target_modules),
            use_dora=msg.use_dora,
            use_rslora=msg.use_rslora,
            loraplus_lr_ratio=msg.loraplus_lr_ratio,
        ),
        optimisation=Optimisation(
            epochs=msg.epochs,
            max_steps=msg.max_steps,
            learning_rate=msg.learning_rate,
            schedule=Schedule(pb.Schedule.Name(msg.schedule)),
            warmup=msg.warmup,
            weight_decay=msg.weight_decay,
            batch_size=msg.batch_size,
            micro_batch_size=msg.micro_batch_size,
            max_length=msg.max_length,
            patience=msg.early_stopping.patience if msg.HasField("early_stopping") else 0,
            checkpoint_steps=msg.checkpoint_steps,
            seed=msg.seed,
            optim=msg.optim or ADAMW,
            neftune_noise_alpha=msg.neftune_noise_alpha,
            packing=msg.packing,
            sampling=msg.train_sampling_strategy or "random",
            best=msg.load_best_model_at_end if msg.HasField("load_best_model_at_end") else True,
        ),
        every_answer=msg.assistant_only_loss,
    )


RSLORA_ALPHA = 8.0
"""At rank 16 the scale of the default LoRA, 2; at other ranks rsLoRA's own law, one over the root of the rank."""


def _alpha(msg: pb.SftConfig | pb.DpoConfig, *, rslora: bool = False) -> float:
    """Twice the rank unless said, so that the scale of the updates stays when only the rank is changed."""
    return msg.alpha if msg.HasField("alpha") else RSLORA_ALPHA if rslora else 2 * msg.rank


def dpo_from_proto(msg: pb.DpoConfig) -> Dpo:
    """The recipe of DPO; schedule and warm-up are fixed."""
    return Dpo(
        beta=msg.beta,
        lora=Lora(rank=msg.rank, alpha=_alpha(msg), dropout=0.0, target_modules=tuple(msg.target_modules)),
        optimisation=Optimisation(
            epochs=msg.epochs,
            max_steps=msg.max_steps,
            learning_rate=msg.learning_rate,
            warmup=0.1,
            batch_size=msg.batch_size,
            micro_batch_size=msg.micro_batch_size,
            max_length=msg.max_length,
            checkpoint_steps=msg.checkpoint_steps,
            seed=msg.seed,
            optim=msg.optim or ADAMW,
            best=msg.load_best_model_at_end if msg.HasField("load_best_model_at_end") else True,
        ),
        held_out=msg.held_out,
        loss_type=msg.loss_type or "sigmoid",
        label_smoothing=msg.label_smoothing,
    )


def base_model_from_spec(spec: Mapping[str, Any]) -> BaseModelSpec:
    """What an import's stored JSON asks for."""
    return base_model_from_proto(json_format.ParseDict(dict(spec), pb.BaseModelSpec()))


def base_model_from_proto(msg: pb.BaseModelSpec) -> BaseModelSpec:
    """Field by field."""
    return BaseModelSpec(msg.uri, msg.revision, msg.credentials_secret, msg.template_date)


def shape_to_summary(shape: shapes.ModelShape) -> dict[str, Any]:
    """The small JSON on a BaseModel that InspectModel answers from."""
    first = {each.short: each for each in reversed(shape.linears)}
    names = [each.short for each in shape.linears]
    return {
        "architecture": shape.architecture,
        "parameters": shape.parameters,
        "max_length": shape.context,
        "modules": [
            {"name": name, "count": names.count(name), "in": first[name].inputs, "out": first[name].outputs}
            for name in shape.module_names()
        ],
    }


def groups_to_proto(shape: shapes.ModelShape) -> list[pb.ModuleGroup]:
    """The modules by their last name."""
    first = {each.short: each for each in reversed(shape.linears)}
    counts = Counter(each.short for each in shape.linears)
    return [
        pb.ModuleGroup(name=name, count=counts[name], in_features=first[name].inputs, out_features=first[name].outputs)
        for name in shape.module_names()
    ]


def inspection_to_proto(known: Known) -> pb.ModelInspection:
    """What InspectModel answers."""
    return pb.ModelInspection(
        architecture=known.architecture,
        parameters=known.shape.parameters,
        modules=groups_to_proto(known.shape),
        has_chat_template=bool(known.has_chat_template),
        max_length=known.shape.context,
    )


def plan_to_proto(plan: Plan) -> pb.TrainingPlan:
    """Warnings and advice as sentences that name their field."""
    return pb.TrainingPlan(
        parameters=plan.parameters,
        trainable_parameters=plan.trainable,
        memory_mib=dict(memory_mib(plan.memory, libraries=plan.libraries)),
        sft_steps=plan.sft_steps,
        dpo_steps=plan.dpo_steps,
        seconds=plan.seconds,
        warnings=[f"{note.field}: {note.message}" for note in plan.notes if note.warning],
        advice=[f"{note.field}: {note.message}" for note in plan.notes if not note.warning],
        dpo_memory_mib=dict(memory_mib(plan.dpo_memory, libraries=plan.libraries)) if plan.dpo_memory else {},
        merge_memory_mib=plan.merge_memory / MIB,
        copies=plan.copies,
    )


def unplanned_to_proto(reason: str) -> pb.TrainingPlan:
    """A plan without figures, and why."""
    return pb.TrainingPlan(warnings=[f"baseModel: {reason}"], copies=1)


def job_to_proto(job: Job, envelope: Mapping[str, Any] | None, validation: Sequence[Event] = ()) -> pb.TrainingJob:
    """A job row as a TrainingJob; `validation` are its metrics that hold a validation loss."""
    return pb.TrainingJob(
        name=job.name,
        spec=json_format.ParseDict(dict(job.spec), pb.TrainingJobSpec()),
        status=job_status_to_proto(job),
        findings=list(job.summary.get("findings", ())),
        statement=json.dumps(envelope, sort_keys=True) if envelope else "",
        validation=[Metric(step=event.data["step"], values=event.data["values"]) for event in validation],
    )


def base_model_to_proto(job: Job) -> pb.BaseModel:
    """A job row as a BaseModel."""
    return pb.BaseModel(
        name=job.name, spec=json_format.ParseDict(dict(job.spec), pb.BaseModelSpec()), status=job_status_to_proto(job)
    )


def spec_to_json(msg: Message) -> dict[str, Any]:
    """A spec message as the JSON that a job stores."""
    mapping: dict[str, Any] = json_format.MessageToDict(msg)
    return mapping


def processes_of(spec: Mapping[str, Any]) -> int:
    """How many processes a job takes on each machine: one per GPU; a merge and an import take one in all."""
    if "merge" in spec:
        return 1
    return max(1, int(spec.get("resources", {}).get("gpus", 0)))


def resources_from_spec(spec: Mapping[str, Any], default: Resources) -> Resources:
    """What a job's spec asks of the machine; what it leaves open is the installation's."""
    requested = json_format.ParseDict(dict(spec.get("resources", {})), pb.TrainingResources())
    return Resources(
        cpus=requested.cpus or default.cpus,
        memory=requested.memory_mib << 20 or default.memory,
        gpus=requested.gpus,
        node_pool=requested.node_pool,
        queue=requested.queue,
        nodes=requested.nodes or 1,
    )
