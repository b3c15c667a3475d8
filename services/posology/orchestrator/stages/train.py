"""sft, dpo, merge: from a data set to a model."""

from collections.abc import Mapping
from typing import Any

from posology.core import schema
from posology.orchestrator.clients import Clients
from posology.orchestrator.domain import Observation, Run, Stage
from posology.orchestrator.driver import request_id, resource_id
from posology.orchestrator.reduced_intensity import reduced
from posology.orchestrator.stages.curate import data_of
from posology.orchestrator.stages.jobs import observed
from posology.v1alpha1 import training_pb2


class _Training:
    """A training job: what it is made of decides everything else."""

    def __init__(self, clients: Clients) -> None:
        self._training = clients.training

    def job(self, run: Run) -> dict[str, Any]:
        """The job's TrainingJobSpec in its JSON mapping."""
        raise LookupError(run.uid)

    async def inputs(self, run: Run) -> Mapping[str, Any] | None:
        """The job without the machine that it runs on."""
        return {k: v for k, v in self.job(run).items() if k != "resources"}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the job."""
        request = training_pb2.CreateTrainingJobRequest(
            parent=run.parent,
            training_job_id=resource_id(run, stage),
            spec=schema.parse(training_pb2.TrainingJobSpec, self.job(run)),
            request_id=request_id(run, stage),
        )
        return _observed(await self._training.CreateTrainingJob(request))

    async def observe(self, run: Run, stage: Stage) -> Observation:
        """How the job stands."""
        return _observed(await self._training.GetTrainingJob(training_pb2.GetTrainingJobRequest(name=stage.resource)))

    async def cancel(self, run: Run, stage: Stage) -> None:
        """Stop the job."""
        await self._training.CancelTrainingJob(training_pb2.CancelTrainingJobRequest(name=stage.resource))


class Sft(_Training):
    """Supervised fine-tuning on the reviewed data set."""

    def job(self, run: Run) -> dict[str, Any]:
        """Base model, data set, what is mixed in, and configuration."""
        config = reduced(run.spec["training"]["sft"], run.reductions)
        return {**_common(run), "sft": {"dataset": dataset_of(run), "config": config, **_general(run)}}


class Dpo(_Training):
    """Preference optimisation against the SFT result."""

    def job(self, run: Run) -> dict[str, Any]:
        """SFT result, preference set and configuration."""
        config = reduced(run.spec["training"]["dpo"], run.reductions)
        task = {"sft": run.artifact("sft"), "preferences": preferences_of(run), "config": config}
        return {**_common(run), "dpo": task}


class Merge(_Training):
    """The adapter becomes part of the weights."""

    def job(self, run: Run) -> dict[str, Any]:
        """Base model and the last adapter."""
        return {**_common(run), "merge": {"adapter": adapter_of(run)}}

    async def start(self, run: Run, stage: Stage) -> Observation:
        """Ask for the merge."""
        request = training_pb2.MergeAdapterRequest(
            parent=run.parent,
            training_job_id=resource_id(run, stage),
            base_model=run.artifact("base-model"),
            adapter=adapter_of(run),
            request_id=request_id(run, stage),
        )
        return _observed(await self._training.MergeAdapter(request))


def dataset_of(run: Run) -> str:
    """Digest of the data set to train on: the reviewed one, unless training must not wait for the review."""
    reviewed = run.artifact("review-data") if run.spec["startTraining"] != "IMMEDIATELY" else ""
    return reviewed or data_of(run)


def preferences_of(run: Run) -> str:
    """Digest of the preference set, reviewed where the spec asks for it."""
    return run.artifact("review-preferences") or run.artifact("preferences")


def adapter_of(run: Run) -> str:
    """Digest of the last training result."""
    return run.artifact("dpo") or run.artifact("sft")


def _general(run: Run) -> dict[str, Any]:
    """The general set and its share; nothing for a run from before general rows were a set of their own."""
    if not (general := run.artifact("general")):
        return {}
    return {"general": general, "generalShare": run.spec["curation"]["general"]["share"]}


def _common(run: Run) -> dict[str, Any]:
    return {"baseModel": run.artifact("base-model"), "resources": run.spec["training"]["resources"]}


def _observed(job: training_pb2.TrainingJob) -> Observation:
    observation = observed(job.name, job.status)
    return Observation(**{**vars(observation), "details": {"statement": job.statement, "findings": list(job.findings)}})
