"""Training's gRPC face: decode, delegate, encode."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

from posology.core import names, schema
from posology.core.errors import InvalidInput, Violation
from posology.core.jobs.convert import job_event_to_proto
from posology.core.jobs.domain import Event, Job, NewJob, Resources
from posology.core.jobs.service.jobs import Jobs
from posology.core.model_endpoints.document import Registry
from posology.training import admission, convert
from posology.training.base_models import locations
from posology.training.base_models.hub_reader import SecretOutOfReach
from posology.training.base_models.models import Known, Models
from posology.training.planning import devices
from posology.training.planning.plan import plan
from posology.training.planning.planned import Request
from posology.training.provenance import Provenance
from posology.v1alpha1 import job_pb2
from posology.v1alpha1 import training_pb2 as pb
from posology.v1alpha1.training_pb2_grpc import TrainingServicer as Base

TRAINING, PREFLIGHT, BASE_MODEL = "training", "preflight", "base-model"
JOBS = (TRAINING, PREFLIGHT)
"""The kinds that are shown as training jobs."""


class TrainingServicer(Base):
    """Every method raises core.errors; the interceptor speaks gRPC."""

    def __init__(
        self,
        jobs: Jobs,
        provenance: Provenance,
        models: Models,
        *,
        rules: locations.Rules,
        model_endpoints: Registry,
        device: str = "",
        most_nodes: int = 1,
    ) -> None:
        self._jobs = jobs
        self._provenance = provenance
        self._models = models
        self._rules = rules
        self._device = device
        self._most_nodes = most_nodes
        self._model_endpoints = model_endpoints

    # --- before anything is spent ----------------------------------------------------------------------

    async def PlanTraining(self, request: pb.PlanTrainingRequest, _: Any) -> pb.TrainingPlan:
        schema.apply_defaults(request.training)
        try:
            known = await self._look(request.base_model, config_json=request.config_json)
        except SecretOutOfReach as error:
            return convert.unplanned_to_proto(error.message)
        gpus = request.training.resources.gpus
        cores = request.training.resources.cpus or os.cpu_count() or 1
        made = plan(
            Request(
                shape=known.shape,
                sft=convert.sft_from_proto(request.training.sft),
                dpo=convert.dpo_from_proto(request.training.dpo) if request.training.HasField("dpo") else None,
                rows=request.rows,
                preference_rows=request.preference_rows,
                gpus=gpus * request.training.resources.nodes,
                device=devices.find(self._device) if gpus else devices.cpu(cores),
                validation_rows=request.validation_rows,
                general_share=request.general_share if request.HasField("general_share") else None,
                few_shot_baseline=request.few_shot_baseline,
                host_memory=request.training.resources.memory_mib << 20,
            )
        )
        return convert.plan_to_proto(made)

    async def InspectModel(self, request: pb.InspectModelRequest, _: Any) -> pb.ModelInspection:
        return convert.inspection_to_proto(await self._look(request.base_model))

    async def _look(self, base: pb.BaseModelSpec, *, config_json: str = "") -> Known:
        """The model, with the secret that its spec names."""
        await self._not_an_endpoints_key(base.credentials_secret, "base_model.credentials_secret")
        return await self._models.look(
            base.uri, base.revision, credentials_secret=base.credentials_secret, config_json=config_json
        )

    async def _not_an_endpoints_key(self, secret: str, field: str) -> None:
        if secret and secret in await asyncio.to_thread(self._model_endpoints.secrets):
            reason = f"{secret} is the key of a model endpoint, and is sent to no hub; name one with the hub's token"
            raise InvalidInput.of([Violation(field, reason)])

    # --- base models -----------------------------------------------------------------------------------

    async def CreateBaseModel(self, request: pb.CreateBaseModelRequest, _: Any) -> pb.BaseModel:
        locations.parse(request.spec.uri, request.spec.revision, self._rules)
        await self._not_an_endpoints_key(request.spec.credentials_secret, "spec.credentialsSecret")
        name = f"{request.parent}/baseModels/{request.base_model_id}"
        if request.validate_only:
            return pb.BaseModel(name=name, spec=request.spec)
        new = NewJob(name, BASE_MODEL, convert.spec_to_json(request.spec), request.request_id)
        return convert.base_model_to_proto(await self._jobs.create(new))

    async def GetBaseModel(self, request: pb.GetBaseModelRequest, _: Any) -> pb.BaseModel:
        return convert.base_model_to_proto(await self._get(request.name, BASE_MODEL))

    async def WatchBaseModel(self, request: job_pb2.WatchJobRequest, _: Any) -> AsyncIterator[job_pb2.JobEvent]:
        async for event in self._watch(request, BASE_MODEL):
            yield event

    async def CancelBaseModel(self, request: pb.CancelBaseModelRequest, _: Any) -> pb.BaseModel:
        await self._get(request.name, BASE_MODEL)
        return convert.base_model_to_proto(await self._jobs.cancel(request.name))

    # --- training jobs ---------------------------------------------------------------------------------

    async def CreateTrainingJob(self, request: pb.CreateTrainingJobRequest, _: Any) -> pb.TrainingJob:
        schema.apply_defaults(request.spec)
        return await self._create(request, request.spec)

    async def MergeAdapter(self, request: pb.MergeAdapterRequest, _: Any) -> pb.TrainingJob:
        spec = pb.TrainingJobSpec(base_model=request.base_model, merge=pb.MergeTask(adapter=request.adapter))
        return await self._create(request, spec)

    async def _create(
        self, request: pb.CreateTrainingJobRequest | pb.MergeAdapterRequest, spec: pb.TrainingJobSpec
    ) -> pb.TrainingJob:
        name = f"{request.parent}/trainingJobs/{request.training_job_id}"
        resources = convert.resources_from_spec(convert.spec_to_json(spec), Resources())
        await admission.check(convert.task_from_proto(spec), self._models, resources, most_nodes=self._most_nodes)
        if request.validate_only:
            return pb.TrainingJob(name=name, spec=spec)
        kind = PREFLIGHT if spec.HasField("preflight") else TRAINING
        job = await self._jobs.create(NewJob(name, kind, convert.spec_to_json(spec), request.request_id))
        return await self._shown(job)

    async def GetTrainingJob(self, request: pb.GetTrainingJobRequest, _: Any) -> pb.TrainingJob:
        job = await self._get(request.name, *JOBS)
        validation = await self._jobs.metrics(job.name, "eval_loss") if request.validation else ()
        return await self._shown(job, validation)

    async def ListTrainingJobs(self, request: pb.ListTrainingJobsRequest, _: Any) -> pb.ListTrainingJobsResponse:
        page = await self._jobs.list(
            names.namespace_of_parent(request.parent),
            kinds=JOBS,
            page_size=request.page_size,
            page_token=request.page_token,
        )
        shown = [await self._shown(job) for job in page.jobs]
        return pb.ListTrainingJobsResponse(training_jobs=shown, next_page_token=page.next_token)

    async def WatchTrainingJob(self, request: job_pb2.WatchJobRequest, _: Any) -> AsyncIterator[job_pb2.JobEvent]:
        async for event in self._watch(request, *JOBS):
            yield event

    async def CancelTrainingJob(self, request: pb.CancelTrainingJobRequest, _: Any) -> pb.TrainingJob:
        await self._get(request.name, *JOBS)
        return await self._shown(await self._jobs.cancel(request.name))

    # --- details ---------------------------------------------------------------------------------------

    async def _get(self, name: str, *kinds: str) -> Job:
        job = await self._jobs.get(name)
        if job.kind not in kinds:
            raise InvalidInput.of([Violation("name", f"{name} is a {job.kind} job, not a {' or '.join(kinds)} one")])
        return job

    async def _watch(self, request: job_pb2.WatchJobRequest, *kinds: str) -> AsyncIterator[job_pb2.JobEvent]:
        await self._get(request.name, *kinds)
        async for event in self._jobs.watch(request.name, request.resume_token):
            yield job_event_to_proto(event)

    async def _shown(self, job: Job, validation: Sequence[Event] = ()) -> pb.TrainingJob:
        envelope = await self._provenance.of(job.name) if job.artifact else None
        return convert.job_to_proto(job, envelope, validation)
