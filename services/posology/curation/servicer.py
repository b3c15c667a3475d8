"""The Curation service: decode, delegate, encode."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from posology.core import names
from posology.core.errors import AlreadyExists, FailedPrecondition, InvalidInput, NotFound, Violation
from posology.core.jobs import convert as jobs_convert
from posology.core.jobs.domain import Job, NewJob
from posology.core.jobs.service.jobs import Jobs
from posology.core.model_endpoints.document import Registry
from posology.core.rpc import context
from posology.core.rpc.impersonation import check_second_person, own_name
from posology.core.schema import apply_defaults
from posology.core.times import from_timestamp
from posology.curation import convert
from posology.curation.admission import check_dataset, check_general, check_preferences
from posology.curation.feedback.service import Feedback
from posology.curation.review.domain import UNSTATED, Review, ReviewState
from posology.curation.review.service import Reviews
from posology.curation.sources.location import Limits
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1 import curation_pb2_grpc, job_pb2

DATASET, GENERAL_SET, PREFERENCES = "dataset", "general", "preferences"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CurationServicer(curation_pb2_grpc.CurationServicer):
    """Data sets, general sets, preference sets, reviews and feedback over gRPC."""

    def __init__(
        self, jobs: Jobs, reviews: Reviews, feedback: Feedback, limits: Limits, model_endpoints: Registry
    ) -> None:
        self._jobs = jobs
        self._reviews = reviews
        self._feedback = feedback
        self._limits = limits
        self._model_endpoints = model_endpoints

    # --- data sets -------------------------------------------------------------------------------------

    async def CreateDataset(self, request: pb.CreateDatasetRequest, _: Any) -> pb.Dataset:
        """Admit a data set: sources are checked, and their bytes fingerprinted, before anything starts."""
        apply_defaults(request.spec)
        name = f"{request.parent}/datasets/{request.dataset_id}"
        teacher = request.spec.curation.teacher
        problems = await self._complete(teacher, request.parent, await self._earlier_teacher(name, pb.DatasetSpec))
        stored = convert.spec_to_json(request.spec)
        existing = await self._repeated(name, stored)
        if existing and not request.validate_only:
            return convert.dataset_to_proto(existing)
        recipe = convert.recipe_from_proto(request.spec)
        digest = await asyncio.to_thread(check_dataset, recipe, self._limits, problems)
        if request.validate_only:
            return pb.Dataset(name=name, spec=request.spec, source_sha256=digest)
        spec = stored | {convert.SOURCE_SHA256: digest}
        return convert.dataset_to_proto(await self._jobs.create(NewJob(name, DATASET, spec, request.request_id)))

    async def GetDataset(self, request: pb.GetDatasetRequest, _: Any) -> pb.Dataset:
        """Read one data set."""
        return convert.dataset_to_proto(await self._job(request.name, DATASET))

    async def ListDatasets(self, request: pb.ListDatasetsRequest, _: Any) -> pb.ListDatasetsResponse:
        """A page of data sets, newest first."""
        page = await self._jobs.list(
            names.namespace_of_parent(request.parent),
            kinds=(DATASET,),
            page_size=request.page_size,
            page_token=request.page_token,
        )
        datasets = [convert.dataset_to_proto(job) for job in page.jobs]
        return pb.ListDatasetsResponse(datasets=datasets, next_page_token=page.next_token)

    async def WatchDataset(self, request: job_pb2.WatchJobRequest, _: Any) -> AsyncIterator[job_pb2.JobEvent]:
        """The job's events from the token on."""
        await self._job(request.name, DATASET)
        async for event in self._jobs.watch(request.name, request.resume_token):
            yield jobs_convert.job_event_to_proto(event)

    async def CancelDataset(self, request: pb.CancelDatasetRequest, _: Any) -> pb.Dataset:
        """Stop making a data set."""
        await self._job(request.name, DATASET)
        return convert.dataset_to_proto(await self._jobs.cancel(request.name))

    # --- general sets ----------------------------------------------------------------------------------

    async def CreateGeneralSet(self, request: pb.CreateGeneralSetRequest, _: Any) -> pb.GeneralSet:
        """Admit a general set; its bytes are fingerprinted before anything starts."""
        apply_defaults(request.spec)
        name = f"{request.parent}/generalSets/{request.general_set_id}"
        stored = convert.spec_to_json(request.spec)
        existing = await self._repeated(name, stored)
        if existing and not request.validate_only:
            return convert.general_set_to_proto(existing)
        recipe = convert.general_from_proto(request.spec)
        digest = await asyncio.to_thread(check_general, recipe, self._limits)
        if request.validate_only:
            return pb.GeneralSet(name=name, spec=request.spec, source_sha256=digest)
        spec = stored | {convert.SOURCE_SHA256: digest}
        return convert.general_set_to_proto(
            await self._jobs.create(NewJob(name, GENERAL_SET, spec, request.request_id))
        )

    async def GetGeneralSet(self, request: pb.GetGeneralSetRequest, _: Any) -> pb.GeneralSet:
        """Read one general set."""
        return convert.general_set_to_proto(await self._job(request.name, GENERAL_SET))

    async def WatchGeneralSet(self, request: job_pb2.WatchJobRequest, _: Any) -> AsyncIterator[job_pb2.JobEvent]:
        """The job's events from the token on."""
        await self._job(request.name, GENERAL_SET)
        async for event in self._jobs.watch(request.name, request.resume_token):
            yield jobs_convert.job_event_to_proto(event)

    async def CancelGeneralSet(self, request: pb.CancelGeneralSetRequest, _: Any) -> pb.GeneralSet:
        """Stop making a general set."""
        await self._job(request.name, GENERAL_SET)
        return convert.general_set_to_proto(await self._jobs.cancel(request.name))

    # --- preference sets -------------------------------------------------------------------------------

    async def CreatePreferenceSet(self, request: pb.CreatePreferenceSetRequest, _: Any) -> pb.PreferenceSet:
        """Admit a preference set."""
        apply_defaults(request.spec)
        name = f"{request.parent}/preferenceSets/{request.preference_set_id}"
        problems = []
        if request.spec.HasField("teacher"):
            earlier = await self._earlier_teacher(name, pb.PreferenceSetSpec)
            problems = await self._complete(request.spec.teacher, request.parent, earlier)
        recipe = convert.preferences_from_proto(request.spec)
        digest = await asyncio.to_thread(check_preferences, recipe, self._limits, problems)
        if request.validate_only:
            return pb.PreferenceSet(name=name, spec=request.spec, source_sha256=digest)
        spec = convert.spec_to_json(request.spec) | ({convert.SOURCE_SHA256: digest} if digest else {})
        new = NewJob(name, PREFERENCES, spec, request.request_id)
        return convert.preference_set_to_proto(await self._jobs.create(new))

    async def GetPreferenceSet(self, request: pb.GetPreferenceSetRequest, _: Any) -> pb.PreferenceSet:
        """Read one preference set."""
        return convert.preference_set_to_proto(await self._job(request.name, PREFERENCES))

    async def WatchPreferenceSet(self, request: job_pb2.WatchJobRequest, _: Any) -> AsyncIterator[job_pb2.JobEvent]:
        """The job's events from the token on."""
        await self._job(request.name, PREFERENCES)
        async for event in self._jobs.watch(request.name, request.resume_token):
            yield jobs_convert.job_event_to_proto(event)

    async def CancelPreferenceSet(self, request: pb.CancelPreferenceSetRequest, _: Any) -> pb.PreferenceSet:
        """Stop making a preference set."""
        await self._job(request.name, PREFERENCES)
        return convert.preference_set_to_proto(await self._jobs.cancel(request.name))

    # --- reviews ---------------------------------------------------------------------------------------

    async def CreateReview(self, request: pb.CreateReviewRequest, _: Any) -> pb.Review:
        """Draw a sample and open its review."""
        draft = Review(
            name=f"{request.parent}/reviews/{request.review_id}",
            namespace=names.namespace_of_parent(request.parent),
            subject=request.subject,
            kind="",
            policy=convert.policy_from_proto(request.policy),
            seed=request.seed,
            frame_size=0,
            frame_digest="",
            planned=0,
            state=ReviewState.OPEN,
            creator=context.caller.get().subject,
            created=_EPOCH,
            run=context.run_id.get(),
            task=convert.task_from_proto(request.task),
        )
        review = await self._reviews.create(draft, request_id=request.request_id, validate_only=request.validate_only)
        if request.validate_only:
            return pb.Review(name=review.name, subject=review.subject, policy=request.policy, seed=review.seed)
        return convert.review_to_proto(*await self._reviews.get(review.name))

    async def GetReview(self, request: pb.GetReviewRequest, _: Any) -> pb.Review:
        """A review with its summary."""
        return convert.review_to_proto(*await self._reviews.get(request.name))

    async def ListReviews(self, request: pb.ListReviewsRequest, _: Any) -> pb.ListReviewsResponse:
        """A page of reviews, newest first."""
        after = from_timestamp(request.ended_after) if request.HasField("ended_after") else None
        reviews, token = await self._reviews.list_page(
            names.namespace_of_parent(request.parent, every=True),
            size=request.page_size,
            token=request.page_token,
            ended_after=after,
        )
        return pb.ListReviewsResponse(reviews=[convert.review_to_proto(*one) for one in reviews], next_page_token=token)

    async def NextReviewItem(self, request: pb.NextReviewItemRequest, _: Any) -> pb.NextReviewItemResponse:
        """The next item for a reviewer, blind."""
        reviewer = await self._reviewer(request.name, request.reviewer, "reviewer")
        waiting = await self._reviews.next_items(
            request.name, reviewer, adjudicate=request.adjudicate, most=request.most or 1, held=request.held
        )
        items = [
            convert.review_item_to_proto(item, waiting.remaining, waiting.ratings.get(item.id, ()))
            for item in waiting.items
        ]
        return pb.NextReviewItemResponse(item=items[0] if items else None, items=items, remaining=waiting.remaining)

    async def SubmitReviewItem(self, request: pb.SubmitReviewItemRequest, _: Any) -> pb.ReviewRating:
        """Rate an item."""
        return await self._rate(request, adjudication=False)

    async def AdjudicateReviewItem(self, request: pb.SubmitReviewItemRequest, _: Any) -> pb.ReviewRating:
        """Decide an item on which reviewers disagree."""
        return await self._rate(request, adjudication=True)

    async def ConfirmReview(self, request: pb.ConfirmReviewRequest, _: Any) -> pb.Review:
        """Make a reviewer's ratings final."""
        reviewer = await self._reviewer(request.name, request.reviewer, "reviewer")
        return convert.review_to_proto(*await self._reviews.confirm(request.name, reviewer))

    async def ExportReviewItems(self, request: pb.ExportReviewItemsRequest, _: Any) -> pb.ExportReviewItemsResponse:
        """A reviewer's items as a spreadsheet."""
        reviewer = await self._reviewer(request.name, request.reviewer, "reviewer")
        text = await self._reviews.export_items(request.name, reviewer, adjudicate=request.adjudicate)
        return pb.ExportReviewItemsResponse(csv=text)

    async def ImportReviewRatings(
        self, request: pb.ImportReviewRatingsRequest, _: Any
    ) -> pb.ImportReviewRatingsResponse:
        """The ratings of a filled-in spreadsheet."""
        reviewer = await self._reviewer(request.name, request.reviewer, "reviewer")
        kind = request.reviewer_kind.strip() or UNSTATED
        stored = await self._reviews.import_ratings(
            request.name, reviewer, kind, request.csv, adjudicate=request.adjudicate
        )
        return pb.ImportReviewRatingsResponse(ratings=stored)

    async def ListReviewCorrections(
        self, request: pb.ListReviewCorrectionsRequest, _: Any
    ) -> pb.ListReviewCorrectionsResponse:
        """What the wrong items of a closed review should say."""
        listed = await self._reviews.corrections(request.name)
        return pb.ListReviewCorrectionsResponse(corrections=[convert.correction_to_proto(one) for one in listed])

    async def CancelReview(self, request: pb.CancelReviewRequest, _: Any) -> pb.Review:
        """Close a review early."""
        return convert.review_to_proto(*await self._reviews.cancel(request.name))

    # --- feedback --------------------------------------------------------------------------------------

    async def CreateFeedback(self, request: pb.CreateFeedbackRequest, _: Any) -> pb.Feedback:
        """Mark an answer."""
        namespace = names.namespace_of_parent(request.parent)
        if names.parse(request.answer, "answers", field="answer").namespace != namespace:
            raise InvalidInput.of([Violation("answer", f"is an answer of {request.parent}, not of another namespace")])
        mark = convert.mark_from_proto(request, namespace=namespace, author=context.caller.get().subject, at=_EPOCH)
        return convert.mark_to_proto(await self._feedback.mark(mark, validate_only=request.validate_only))

    async def ListFeedback(self, request: pb.ListFeedbackRequest, _: Any) -> pb.ListFeedbackResponse:
        """A page of marks, newest first."""
        namespace = names.namespace_of_parent(request.parent)
        marks, token = await self._feedback.list_page(
            namespace, unreviewed=request.unreviewed, size=request.page_size, token=request.page_token
        )
        return pb.ListFeedbackResponse(feedback=map(convert.mark_to_proto, marks), next_page_token=token)

    async def CreateFeedbackReview(self, request: pb.CreateFeedbackReviewRequest, _: Any) -> pb.Review:
        """Open a review of marked answers."""
        apply_defaults(request)
        review = await self._feedback.open_review(
            f"{request.parent}/reviews/{request.review_id}",
            names.namespace_of_parent(request.parent),
            thumb=convert.thumb_from_proto(request.thumb),
            reviewers=request.reviewers,
            most=request.most,
            request_id=request.request_id,
            validate_only=request.validate_only,
        )
        if request.validate_only:
            summary = pb.ReviewSummary(planned=review.planned)
            return pb.Review(name=review.name, subject=review.subject, summary=summary, task=pb.Review.RATE_FEEDBACK)
        return convert.review_to_proto(*await self._reviews.get(review.name))

    # --- model endpoints -------------------------------------------------------------------------------

    async def ListModelEndpoints(self, request: pb.ListModelEndpointsRequest, _: Any) -> pb.ListModelEndpointsResponse:
        """What a namespace may use, and what of it is used."""
        namespace = names.namespace_of_parent(request.parent)
        endpoints = await asyncio.to_thread(self._model_endpoints.for_namespace, namespace)
        listed = [convert.model_endpoint_to_proto(one, await self._jobs.endpoint_usage(one.name)) for one in endpoints]
        return pb.ListModelEndpointsResponse(model_endpoints=listed)

    # --- details ---------------------------------------------------------------------------------------

    async def _complete(self, teacher: pb.Teacher, parent: str, earlier: pb.Teacher | None) -> list[Violation]:
        """Write the endpoint's model into a teacher that names none; what is wrong with the endpoint.

        A repeated request (`earlier` is the teacher of the first) keeps the model of its first admission, whatever the
        operator changed since.
        """
        if not teacher.model_endpoint:
            return []
        if earlier is not None and earlier.model_endpoint == teacher.model_endpoint and not teacher.model:
            teacher.model = earlier.model
            return []
        at, namespace = "spec.curation.teacher", names.namespace_of_parent(parent)
        try:
            endpoint, model = await asyncio.to_thread(
                self._model_endpoints.resolve, teacher.model_endpoint, namespace, teacher.model, at=at
            )
        except (InvalidInput, FailedPrecondition) as error:
            return [*error.violations] or [Violation(f"{at}.modelEndpoint", error.message)]
        teacher.model = model
        budget = endpoint.budget
        if teacher.HasField("budget"):  # an endpoint that states prices states those of every run
            teacher.budget.prompt_price = teacher.budget.prompt_price or budget.prompt_price
            teacher.budget.completion_price = teacher.budget.completion_price or budget.completion_price
        problems = []
        if teacher.judge_model and teacher.judge_model not in endpoint.models:
            has = ", ".join(endpoint.models)
            problems.append(
                Violation(f"{at}.judgeModel", f"{teacher.judge_model} is no model of {endpoint.name}, which has {has}")
            )
        if reason := budget.used_up(await self._jobs.endpoint_usage(endpoint.name)):
            problems.append(
                Violation(f"{at}.modelEndpoint", f"the budget of {endpoint.name} is used up by all runs: {reason}")
            )
        return problems

    async def _earlier_teacher(
        self, name: str, kind: type[pb.DatasetSpec] | type[pb.PreferenceSetSpec]
    ) -> pb.Teacher | None:
        """The teacher of the job of this name, if there is one."""
        try:
            job = await self._jobs.get(name)
        except NotFound:
            return None
        if kind is pb.DatasetSpec:
            return convert.dataset_spec_from_json(job.spec).curation.teacher
        return convert.preference_spec_from_json(job.spec).teacher

    async def _rate(self, request: pb.SubmitReviewItemRequest, *, adjudication: bool) -> pb.ReviewRating:
        reviewer = await self._reviewer(request.name, request.rating.reviewer, "rating.reviewer")
        rating = convert.rating_from_proto(request.rating, reviewer=reviewer, at=_EPOCH, adjudication=adjudication)
        return convert.rating_to_proto(await self._reviews.submit(request.name, rating))

    async def _reviewer(self, review: str, name: str, field: str) -> str:
        """Who reviews: the caller, and not who submitted what is reviewed."""
        check_second_person(await self._reviews.creator(review), f"review {review}")
        return own_name(name, field)

    async def _job(self, name: str, kind: str) -> Job:
        job = await self._jobs.get(name)
        if job.kind != kind:
            raise NotFound(f"{name} is no {kind}")
        return job

    async def _repeated(self, name: str, stored: dict[str, Any]) -> Job | None:
        """The job of this name and spec, whatever became of its source files since; AlreadyExists for another spec."""
        try:
            job = await self._jobs.get(name)
        except NotFound:
            return None
        if convert.without_fingerprint(job.spec) == stored:
            return job
        raise AlreadyExists(f"{name} was made from another spec; choose another id")
