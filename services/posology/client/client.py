"""The client: one object, the command line's verbs."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from posology.client import remote
from posology.client.installation import Installation
from posology.client.names import Names
from posology.client.specfile import RunFile
from posology.client.stored import Stored, copy_out
from posology.core import doses, schema
from posology.core.artifacts import ArtifactStore, Manifest
from posology.core.audit.chain import Entry
from posology.core.errors import InvalidInput, PermissionDenied, Retryable, Unavailable
from posology.core.rpc import client as rpc
from posology.core.rpc import tls
from posology.v1alpha1 import (
    access_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    curation_pb2,
    curation_pb2_grpc,
    evaluation_pb2,
    evaluation_pb2_grpc,
    gateway_pb2,
    gateway_pb2_grpc,
    job_pb2,
    model_endpoint_pb2,
    orchestrator_pb2,
    orchestrator_pb2_grpc,
    serving_pb2,
    serving_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)

ENDED = (
    orchestrator_pb2.FineTuneRun.SUCCEEDED,
    orchestrator_pb2.FineTuneRun.FAILED,
    orchestrator_pb2.FineTuneRun.CANCELLED,
)

_WATCHES = {
    "datasets": ("curation", "WatchDataset"),
    "generalSets": ("curation", "WatchGeneralSet"),
    "preferenceSets": ("curation", "WatchPreferenceSet"),
    "trainingJobs": ("training", "WatchTrainingJob"),
    "baseModels": ("training", "WatchBaseModel"),
    "evaluations": ("evaluation", "WatchEvaluation"),
}
"""By the collection of a job's name: the service and the call that tell its events."""


def is_job(resource: str) -> bool:
    """Whether it is the name of a job, which has a log (`Client.job_events`)."""
    parts = resource.split("/")
    return len(parts) == 4 and parts[2] in _WATCHES


EVERYWHERE = "namespaces/-"
_PAGE = 1000


class Client:
    """Speaks to one installation; every failed call raises a class of `posology.core.errors`.

    ```python
    async with Client() as posology:
        run = await posology.submit(load_run(Path("run.yaml")))
        async for event in posology.watch(run.name):
            print(event.stage, event.state, event.reason)
    ```
    """

    def __init__(
        self,
        installation: Installation | None = None,
        *,
        namespace: str = "default",
        token: Callable[[], str] | None = None,
    ) -> None:
        """`token` says with whose token each call is made, where one process calls for many users: artifacts are then
        read through the catalog too, with that user's rights."""
        self.installation = installation or Installation.discover()
        self._token = token
        self.names = Names(namespace)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        channels = {service: self._channel(service) for service in ("orchestrator", *_OTHERS)}
        self.orchestrator = orchestrator_pb2_grpc.OrchestratorStub(channels["orchestrator"])
        self.catalog = catalog_pb2_grpc.CatalogStub(channels["orchestrator"])
        self.curation = curation_pb2_grpc.CurationStub(channels["curation"])
        self.training = training_pb2_grpc.TrainingStub(channels["training"])
        self.evaluation = evaluation_pb2_grpc.EvaluationStub(channels["evaluation"])
        self.serving = serving_pb2_grpc.ServingStub(channels["serving"])
        self.gateway = gateway_pb2_grpc.GatewayStub(channels["gateway"])
        self.access = {service: access_pb2_grpc.AccessStub(channel) for service, channel in channels.items()}
        self.audits = {service: audit_pb2_grpc.AuditStub(channel) for service, channel in channels.items()}
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def _channel(self, service: str) -> rpc.Channel:
        try:
            address = self.installation.address(service)
        except Unavailable as error:
            if service == "orchestrator":
                raise
            return cast(rpc.Channel, Unaddressed(error))
        channel = rpc.channel(
            address,
            token=self._token or self.installation.token_for(service),
            service=service,
            files=tls.Files.of(self.installation.settings),
        )
        self._stack.push_async_callback(channel.close)
        return channel

    # --- runs ----------------------------------------------------------------------------------------

    async def validate(self, run: RunFile) -> orchestrator_pb2.FineTuneRun:
        """Check a run without submitting it; the answer carries every default and the stages."""
        request = run.request()
        request.validate_only = True
        return await self.orchestrator.CreateRun(request)

    async def plan(self, run: RunFile) -> training_pb2.TrainingPlan:
        """Parameters, memory, steps, time, warnings and advice for a run; no GPU, no weights."""
        return await self._plan((await self.validate(run)).spec, run.name)

    async def plan_doses(self, run: RunFile) -> list[tuple[str, training_pb2.TrainingPlan]]:
        """What each dose of a sweep is called and would take; empty for a run without one."""
        spec = schema.to_mapping((await self.validate(run)).spec)
        planned = []
        for dose in doses.doses_of(spec):
            message = schema.parse(orchestrator_pb2.FineTuneRunSpec, doses.dosed(spec, dose))
            planned.append((doses.label(dose), await self._plan(message, run.name)))
        return planned

    async def tries(self, spec: orchestrator_pb2.FineTuneRunSpec, name: str) -> list[str]:
        """Which use of each suite a run called `name` would be, and what that costs; for runs that serve."""
        return list((await self._evaluation_of(spec, name)).tries)

    async def _plan(self, spec: orchestrator_pb2.FineTuneRunSpec, name: str) -> training_pb2.TrainingPlan:
        share = spec.curation.general.share if spec.curation.HasField("general") else 0.0
        validation = min(spec.curation.validation, spec.curation.pairs)
        request = training_pb2.PlanTrainingRequest(
            parent=self.names.parent,
            base_model=spec.base_model,
            training=spec.training,
            rows=round((spec.curation.pairs - validation) / (1 - share)),
            validation_rows=validation,
            general_share=share,
            few_shot_baseline="baseline" in {field.name for field, _ in spec.evaluation.ListFields()},
            preference_rows=spec.curation.preferences.pairs,
        )
        plan = await self.training.PlanTraining(request)
        evaluation = await self._evaluation_of(spec, name)
        plan.warnings.extend(f"evaluation: {text}" for text in evaluation.warnings)
        plan.advice.extend(f"evaluation: {text}" for text in evaluation.tries)
        return plan

    async def _evaluation_of(self, spec: orchestrator_pb2.FineTuneRunSpec, name: str) -> evaluation_pb2.EvaluationJob:
        """What the gates of a spec cannot show with their items, or seldom would, and which try of each suite it is."""
        base = spec.base_model.uri.removeprefix("artifact:")
        request = evaluation_pb2.CreateEvaluationRequest(
            parent=self.names.parent,
            evaluation_id="plan",
            spec=evaluation_pb2.EvaluationJobSpec(
                evaluation=spec.evaluation,
                model_name=(spec.serving.model_name or name) if spec.HasField("serving") else "",
                base_model=base if base.startswith("sha256:") else "",
            ),
            validate_only=True,
        )
        try:
            return await self.evaluation.CreateEvaluation(request)
        except PermissionDenied as error:  # who may plan a run need not be let at the evaluation service
            return evaluation_pb2.EvaluationJob(warnings=[f"which gates can pass was not asked: {error.message}"])

    async def submit(self, run: RunFile, *, name: str = "") -> orchestrator_pb2.FineTuneRun:
        """Submit a run; safe to repeat with the same file while nothing else takes its name."""
        request = run.request(name=name, request_id=uuid.uuid4().hex)
        return await self.orchestrator.CreateRun(request)

    async def runs(self) -> list[orchestrator_pb2.FineTuneRun]:
        """Every run of the namespace, newest first."""
        runs, token = [], ""
        while True:
            request = orchestrator_pb2.ListRunsRequest(parent=self.names.parent, page_size=200, page_token=token)
            page = await self.orchestrator.ListRuns(request)
            runs += list(page.runs)
            token = page.next_page_token
            if not token:
                return runs

    async def show(self, run: str) -> orchestrator_pb2.FineTuneRun:
        """One run with its stages."""
        return await self.orchestrator.GetRun(orchestrator_pb2.GetRunRequest(name=self.names.run(run)))

    async def watch(self, run: str) -> AsyncIterator[orchestrator_pb2.RunEvent]:
        """The run's story until it ends; goes on by itself where a stream was cut or a replica left."""
        token = ""
        while True:
            request = orchestrator_pb2.WatchRunRequest(name=self.names.run(run), resume_token=token)
            try:
                async for event in self.orchestrator.WatchRun(request):
                    token = event.resume_token
                    yield event
                if (await self.show(run)).phase in ENDED:
                    return
            except Retryable:
                await asyncio.sleep(1)

    async def wait(self, run: str) -> orchestrator_pb2.FineTuneRun:
        """The run when it has ended."""
        async for _ in self.watch(run):
            pass
        return await self.show(run)

    async def cancel(self, run: str, *, reason: str = "") -> orchestrator_pb2.FineTuneRun:
        """Stop a run; its deployment, if it has one, stays."""
        request = orchestrator_pb2.CancelRunRequest(name=self.names.run(run), reason=reason)
        return await self.orchestrator.CancelRun(request)

    async def approve(
        self, run: str, *, stage: str = "deploy", approved: bool = True, comment: str = ""
    ) -> orchestrator_pb2.FineTuneRun:
        """Decide what waits for a person."""
        request = orchestrator_pb2.DecideApprovalRequest(
            name=self.names.run(run), stage=stage, approved=approved, comment=comment, request_id=uuid.uuid4().hex
        )
        return await self.orchestrator.DecideApproval(request)

    def job_events(self, resource: str, *, resume_token: str = "") -> AsyncIterator[job_pb2.JobEvent]:
        """Everything that the job behind a stage said, measured and became, from the start or from behind the event of
        `resume_token`; ends with the job."""
        if not is_job(resource):
            raise InvalidInput(f"{resource or 'this stage'} is no job with a log; jobs are {', '.join(_WATCHES)}")
        service, call = _WATCHES[resource.split("/")[2]]
        watch: Callable[..., AsyncIterator[job_pb2.JobEvent]] = getattr(getattr(self, service), call)
        return watch(job_pb2.WatchJobRequest(name=resource, resume_token=resume_token))

    # --- review --------------------------------------------------------------------------------------

    async def review(self, review: str) -> curation_pb2.Review:
        """A review with its summary and bound."""
        return await self.curation.GetReview(curation_pb2.GetReviewRequest(name=self.names.review(review)))

    async def next_item(
        self, review: str, *, reviewer: str, adjudicate: bool = False
    ) -> curation_pb2.ReviewItem | None:
        """The next item for a reviewer, blind; None when the reviewer is done."""
        items = (await self.next_items(review, reviewer=reviewer, adjudicate=adjudicate)).items
        return items[0] if items else None

    async def next_items(
        self, review: str, *, reviewer: str, adjudicate: bool = False, most: int = 1, held: Sequence[str] = ()
    ) -> curation_pb2.NextReviewItemResponse:
        """The next items for a reviewer but those `held`, at most so many, and how many are left."""
        request = curation_pb2.NextReviewItemRequest(
            name=self.names.review(review), reviewer=reviewer, adjudicate=adjudicate, most=most, held=held
        )
        return await self.curation.NextReviewItem(request)

    async def submit_item(
        self, review: str, rating: curation_pb2.ReviewRating, *, adjudicate: bool = False
    ) -> curation_pb2.ReviewRating:
        """Rate an item, or decide one on which reviewers disagree."""
        request = curation_pb2.SubmitReviewItemRequest(
            name=self.names.review(review), rating=rating, request_id=uuid.uuid4().hex
        )
        if adjudicate:
            return await self.curation.AdjudicateReviewItem(request)
        return await self.curation.SubmitReviewItem(request)

    async def export_items(self, review: str, *, reviewer: str, adjudicate: bool = False) -> str:
        """A reviewer's items as CSV, to be filled in."""
        request = curation_pb2.ExportReviewItemsRequest(
            name=self.names.review(review), reviewer=reviewer, adjudicate=adjudicate
        )
        return (await self.curation.ExportReviewItems(request)).csv

    async def import_ratings(
        self, review: str, text: str, *, reviewer: str, kind: str = "", adjudicate: bool = False
    ) -> int:
        """Store the ratings of a filled-in CSV; how many there were."""
        request = curation_pb2.ImportReviewRatingsRequest(
            name=self.names.review(review), reviewer=reviewer, reviewer_kind=kind, csv=text, adjudicate=adjudicate
        )
        return (await self.curation.ImportReviewRatings(request)).ratings

    async def corrections(self, review: str) -> list[curation_pb2.ReviewCorrection]:
        """What the wrong items of a closed review should say."""
        request = curation_pb2.ListReviewCorrectionsRequest(name=self.names.review(review))
        return list((await self.curation.ListReviewCorrections(request)).corrections)

    async def confirm_review(self, review: str, *, reviewer: str) -> curation_pb2.Review:
        """Make a reviewer's ratings final; the last reviewer's confirmation closes a settled review."""
        request = curation_pb2.ConfirmReviewRequest(name=self.names.review(review), reviewer=reviewer)
        return await self.curation.ConfirmReview(request)

    # --- feedback ------------------------------------------------------------------------------------

    async def mark_answer(self, answer: str, thumb: str, *, comment: str = "") -> curation_pb2.Feedback:
        """Say of an answer, by its id, that it was good (`UP`) or bad (`DOWN`)."""
        return await self.curation.CreateFeedback(
            curation_pb2.CreateFeedbackRequest(
                parent=self.names.parent,
                answer=self.names.answer(answer),
                thumb=curation_pb2.Feedback.Thumb.Value(thumb),
                comment=comment,
            )
        )

    async def feedback(self, *, unreviewed: bool = False) -> list[curation_pb2.Feedback]:
        """What was said of answers, newest first; the first thousand."""
        request = curation_pb2.ListFeedbackRequest(parent=self.names.parent, unreviewed=unreviewed, page_size=1000)
        return list((await self.curation.ListFeedback(request)).feedback)

    async def review_feedback(self, review: str, *, thumb: str = "", reviewers: int = 1) -> curation_pb2.Review:
        """Open a review of the marked answers that no review has had; `thumb` narrows it to `UP` or `DOWN`."""
        return await self.curation.CreateFeedbackReview(
            curation_pb2.CreateFeedbackReviewRequest(
                parent=self.names.parent,
                review_id=review,
                thumb=curation_pb2.Feedback.Thumb.Value(thumb) if thumb else curation_pb2.Feedback.THUMB_UNSPECIFIED,
                reviewers=reviewers,
                request_id=f"feedback-{review}",
            )
        )

    # --- artifacts and evidence ----------------------------------------------------------------------

    async def push(self, folder: Path, *, kind: str = "base-model") -> catalog_pb2.Artifact:
        """Publish a folder as an artifact and register it; the same bytes are the same artifact."""
        if self.installation.connected or self.installation.is_personal:
            return await remote.push(self.catalog, self.names, folder, kind=kind)
        store = ArtifactStore(self.installation.settings.candidates_url)
        digest = await asyncio.to_thread(store.publish, folder, kind=kind, producer="push")
        artifact = catalog_pb2.Artifact(digest=digest, kind=kind)
        request = catalog_pb2.CreateArtifactRequest(parent=self.names.parent, artifact=artifact)
        return await self.catalog.CreateArtifact(request)

    async def audit_chains(self) -> dict[str, list[Entry]]:
        """Every audit chain of the installation, by service and whole, through the services."""
        chains: dict[str, list[Entry]] = {}
        for stub in self.audits.values():
            heads = (await stub.ListAuditHeads(audit_pb2.ListAuditHeadsRequest(parent="namespaces/-"))).heads
            for head in heads:
                request = audit_pb2.ExportAuditRequest(parent="namespaces/-", service=head.service)
                chains[head.service] = [
                    Entry.from_json(json.loads(each.entry)) async for each in stub.ExportAudit(request)
                ]
        return chains

    def stored(self) -> Stored:
        """The artifacts' bytes, wherever they are: in this machine's stores, or behind the cluster's catalog."""
        if self.installation.connected or self._token is not None:
            address = self.installation.address("catalog")
            return Stored(remote.RemoteArtifacts(self.catalog, self.names, address=address))
        return Stored.of(self.installation.settings)

    async def pull(self, digest: str, folder: Path) -> Manifest:
        """Copy an artifact's files into a new or empty folder, each checked; the folder appears whole or not at all."""
        stored = self.stored()
        return await asyncio.to_thread(copy_out, stored, digest, folder)

    async def pin(self, digest: str, *, holder: str) -> catalog_pb2.Artifact:
        """Keep an artifact, and all that it was made from, from garbage collection."""
        request = catalog_pb2.PinArtifactRequest(name=self.names.artifact(digest), holder=holder)
        return await self.catalog.PinArtifact(request)

    async def unpin(self, digest: str, *, holder: str) -> catalog_pb2.Artifact:
        """Let go of it."""
        request = catalog_pb2.PinArtifactRequest(name=self.names.artifact(digest), holder=holder)
        return await self.catalog.UnpinArtifact(request)

    async def inspect(self, model: str) -> training_pb2.ModelInspection:
        """The modules that can be tuned, of an `artifact:`, `hf:` or `file:` model."""
        request = training_pb2.InspectModelRequest(
            parent=self.names.parent, base_model=training_pb2.BaseModelSpec(uri=model)
        )
        return await self.training.InspectModel(request)

    async def reviews(self) -> list[curation_pb2.Review]:
        """Every review of the namespace, newest first (at most 1000)."""
        request = curation_pb2.ListReviewsRequest(parent=self.names.parent, page_size=1000)
        return list((await self.curation.ListReviews(request)).reviews)

    async def gc(
        self, *, older_than_seconds: int | None = None, dry_run: bool = True
    ) -> catalog_pb2.CollectGarbageResponse:
        """Delete artifacts that nothing holds; by default only say which."""
        request = catalog_pb2.CollectGarbageRequest(
            parent=self.names.parent, older_than_seconds=older_than_seconds, validate_only=dry_run
        )
        return await self.catalog.CollectGarbage(request)

    async def trace(self, digest: str, *, down: bool = False) -> list[catalog_pb2.Artifact]:
        """What stands behind an artifact, or (down) what was made from it."""
        kinds = catalog_pb2.TraceArtifactRequest
        direction = kinds.DESCENDANTS if down else kinds.ANCESTORS
        request = catalog_pb2.TraceArtifactRequest(name=self.names.artifact(digest), direction=direction)
        return list((await self.catalog.TraceArtifact(request)).artifacts)

    async def verdict_of(self, run: orchestrator_pb2.FineTuneRun) -> evaluation_pb2.Verdict | None:
        """The verdict that a run got; None before there is one."""
        resource = next((s.resource for s in run.stages if s.stage == "verdict"), "")
        if not resource:
            return None
        return await self.evaluation.GetVerdict(evaluation_pb2.GetVerdictRequest(name=resource))

    async def artifacts(self, kind: str = "") -> list[catalog_pb2.Artifact]:
        """Every artifact of the namespace, or every one of a kind, newest first."""
        return await remote.listed(self.catalog, self.names, kind)

    async def quarantine(self, digest: str, *, reason: str) -> catalog_pb2.Artifact:
        """Withdraw an artifact: nothing may be built on it or served from it."""
        request = catalog_pb2.QuarantineArtifactRequest(name=self.names.artifact(digest), reason=reason)
        return await self.catalog.QuarantineArtifact(request)

    async def withdraw_digest(self, digest: str, *, kind: str = "", reason: str) -> catalog_pb2.Withdrawal:
        """Withdraw a digest for the whole installation, whether an artifact has it or not."""
        request = catalog_pb2.CreateWithdrawalRequest(parent="namespaces/-", digest=digest, kind=kind, reason=reason)
        return await self.catalog.CreateWithdrawal(request)

    async def verdicts(self, *, model: str = "", everywhere: bool = False) -> list[evaluation_pb2.Verdict]:
        """Verdicts on these weights, or all, newest first; `everywhere`: of every namespace."""
        return [verdict async for verdict in self.each_verdict(model=model, everywhere=everywhere)]

    async def each_verdict(self, *, model: str = "", everywhere: bool = False) -> AsyncIterator[evaluation_pb2.Verdict]:
        """The same one by one, a page at a time."""
        parent, token = EVERYWHERE if everywhere else self.names.parent, ""
        while True:
            request = evaluation_pb2.ListVerdictsRequest(parent=parent, model=model, page_size=_PAGE, page_token=token)
            page = await self.evaluation.ListVerdicts(request)
            for verdict in page.verdicts:
                yield verdict
            token = page.next_page_token
            if not token:
                return

    async def failures(self, model: str) -> list[str]:
        """One sentence for each FAIL that stands against these weights, whatever they are called."""
        request = evaluation_pb2.ListFailuresRequest(parent=self.names.parent, model=model)
        return list((await self.evaluation.ListFailures(request)).failures)

    async def verdict(self, verdict: str) -> evaluation_pb2.Verdict:
        """One verdict by its name."""
        return await self.evaluation.GetVerdict(evaluation_pb2.GetVerdictRequest(name=self.names.verdict(verdict)))

    async def answer(self, answer: str) -> gateway_pb2.Answer:
        """The record of one answer."""
        return await self.gateway.GetAnswer(gateway_pb2.GetAnswerRequest(name=self.names.answer(answer)))

    async def count_answers(self, *, model: str = "", deployment: str = "") -> int:
        """How many answers these weights, or this deployment, gave."""
        counted, token = 0, ""
        while True:
            request = gateway_pb2.ListAnswersRequest(
                parent=self.names.parent, model=model, deployment=deployment, page_size=1000, page_token=token
            )
            page = await self.gateway.ListAnswers(request)
            counted += len(page.answers)
            token = page.next_page_token
            if not token:
                return counted

    # --- serving -------------------------------------------------------------------------------------

    async def deploy(
        self, model: str, *, name: str, verdict: str = "", spec: serving_pb2.ServingSpec | None = None
    ) -> serving_pb2.Deployment:
        """Deploy weights by digest; refused unless a verifying PASS is there."""
        parent, _, short = self.names.deployment(name).partition("/deployments/")
        request = serving_pb2.CreateDeploymentRequest(
            parent=parent,
            deployment_id=short,
            model=model,
            verdict=verdict,
            spec=spec or serving_pb2.ServingSpec(model_name=short),
            request_id=uuid.uuid4().hex,
        )
        return await self.serving.CreateDeployment(request)

    async def deployments(self, *, everywhere: bool = False) -> list[serving_pb2.Deployment]:
        """Every deployment, newest first, those that are gone included; `everywhere`: of every namespace."""
        parent, token = EVERYWHERE if everywhere else self.names.parent, ""
        listed: list[serving_pb2.Deployment] = []
        while True:
            request = serving_pb2.ListDeploymentsRequest(parent=parent, page_size=_PAGE, page_token=token)
            page = await self.serving.ListDeployments(request)
            listed += page.deployments
            token = page.next_page_token
            if not token:
                return listed

    async def promote(self, deployment: str) -> serving_pb2.Deployment:
        """Give a canary the next step of the traffic, or all of it."""
        request = serving_pb2.PromoteDeploymentRequest(name=self.names.deployment(deployment))
        return await self.serving.PromoteDeployment(request)

    async def roll_back(self, deployment: str) -> serving_pb2.Deployment:
        """Take a deployment's traffic away; the one before it answers again."""
        request = serving_pb2.RollBackDeploymentRequest(name=self.names.deployment(deployment))
        return await self.serving.RollBackDeployment(request)

    async def undeploy(self, deployment: str) -> serving_pb2.Deployment:
        """Drain and remove a deployment."""
        request = serving_pb2.DeleteDeploymentRequest(name=self.names.deployment(deployment))
        return await self.serving.DeleteDeployment(request)

    async def model_endpoints(self) -> list[model_endpoint_pb2.ModelEndpoint]:
        """What this namespace's teachers and judges may use."""
        request = curation_pb2.ListModelEndpointsRequest(parent=self.names.parent)
        return list((await self.curation.ListModelEndpoints(request)).model_endpoints)

    async def create_key(self, display_name: str, *, requests_per_minute: int = 0) -> gateway_pb2.ApiKey:
        """A key for an application; its secret is in this answer only."""
        request = gateway_pb2.CreateApiKeyRequest(
            parent=self.names.parent, display_name=display_name, requests_per_minute=requests_per_minute
        )
        return await self.gateway.CreateApiKey(request)

    async def keys(self) -> list[gateway_pb2.ApiKey]:
        """Every key, without secrets."""
        request = gateway_pb2.ListApiKeysRequest(parent=self.names.parent, page_size=1000)
        return list((await self.gateway.ListApiKeys(request)).api_keys)

    async def revoke_key(self, key: str) -> gateway_pb2.ApiKey:
        """Make a key useless, at once."""
        return await self.gateway.RevokeApiKey(gateway_pb2.RevokeApiKeyRequest(name=self.names.key(key)))


_OTHERS = ("curation", "training", "evaluation", "serving", "gateway")


class Unaddressed:
    """Stands for the channel to a service of which nobody said where it is; calling it raises why."""

    def __init__(self, error: Unavailable) -> None:
        self._error = error

    def unary_unary(self, *_: Any, **__: Any) -> Any:
        """A call that raises."""

        def call(*_: Any, **__: Any) -> Any:
            raise self._error

        return call

    unary_stream = stream_unary = stream_stream = unary_unary
