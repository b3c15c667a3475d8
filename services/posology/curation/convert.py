"""Protobuf <-> domain; the only place of curation that knows both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from google.protobuf import json_format

from posology.core.errors import FailedPrecondition
from posology.core.jobs import convert as jobs
from posology.core.jobs.domain import Job
from posology.core.model_endpoints.domain import ModelBudget, ModelEndpoint, Usage
from posology.core.schema import apply_defaults
from posology.core.times import to_timestamp
from posology.curation import recipe as r
from posology.curation.feedback.domain import Mark, Thumb
from posology.curation.review import try_price
from posology.curation.review.domain import (
    UNSTATED,
    Correction,
    Item,
    Judgement,
    Policy,
    Rating,
    Review,
    ReviewState,
    Stratum,
    Task,
)
from posology.curation.review.summary import Summary
from posology.v1alpha1 import curation_pb2 as pb
from posology.v1alpha1 import model_endpoint_pb2 as pb_endpoint

SOURCE_SHA256 = "sourceSha256"  # kept beside the spec in a job: which bytes the spec stood for when it was admitted


def without_fingerprint(stored: Mapping[str, Any]) -> dict[str, Any]:
    """A job's stored spec as it was asked for."""
    return {key: value for key, value in stored.items() if key != SOURCE_SHA256}


def dataset_spec_from_json(stored: Mapping[str, Any]) -> pb.DatasetSpec:
    """A job's stored spec as its message; defaults were written at admission."""
    return json_format.ParseDict(without_fingerprint(stored), pb.DatasetSpec())


def general_spec_from_json(stored: Mapping[str, Any]) -> pb.GeneralSetSpec:
    """A job's stored spec as its message."""
    return json_format.ParseDict(without_fingerprint(stored), pb.GeneralSetSpec())


def preference_spec_from_json(stored: Mapping[str, Any]) -> pb.PreferenceSetSpec:
    """A job's stored spec as its message."""
    return json_format.ParseDict(without_fingerprint(stored), pb.PreferenceSetSpec())


def spec_to_json(spec: pb.DatasetSpec | pb.GeneralSetSpec | pb.PreferenceSetSpec) -> dict[str, Any]:
    """JSON of a spec with every default written out, as jobs keep it."""
    made: dict[str, Any] = json_format.MessageToDict(spec)
    return made


def recipe_from_proto(spec: pb.DatasetSpec) -> r.Recipe:
    """What the worker is to make. Defaults must have been applied."""
    curation = spec.curation
    return r.Recipe(
        sources=tuple(r.Source(s.uri, pb.Source.Format.Name(s.format), s.homeopathic) for s in curation.sources),
        teacher=teacher_from_proto(curation.teacher),
        pairs=curation.pairs,
        validation=curation.validation,
        filters=r.FilterRecipe(
            min_words=curation.filters.min_words,
            drop_refusals=curation.filters.drop_refusals,
            drop_vague=curation.filters.drop_vague,
            require_clinical_terms=curation.filters.require_clinical_terms,
        ),
        duplicates=_duplicates(curation.deduplicate),
        seed=curation.seed,
        general=r.GeneralRecipe(curation.general.uri, curation.general.share) if curation.HasField("general") else None,
        behaviour=curation.behaviour.examples if curation.HasField("behaviour") else "",
        few_examples=curation.behaviour.allow_few,
        suites=tuple(spec.suite_uris),
        corrections=curation.corrections,
        base=spec.base,
    )


def general_from_proto(spec: pb.GeneralSetSpec) -> r.GeneralSetRecipe:
    """What a general set is made from. Defaults must have been applied."""
    return r.GeneralSetRecipe(spec.uri, _duplicates(spec.deduplicate), tuple(spec.suite_uris))


def _duplicates(message: pb.Deduplicate) -> r.DuplicateRecipe:
    return r.DuplicateRecipe(message.exact, message.minhash, message.semantic)


def teacher_from_proto(teacher: pb.Teacher) -> r.TeacherRecipe:
    """A teacher with its defaults."""
    filled = pb.Teacher()
    filled.CopyFrom(teacher)
    apply_defaults(filled)
    return r.TeacherRecipe(
        endpoint=filled.model_endpoint,
        model=filled.model,
        style=r.Style(pb.Teacher.Style.Name(filled.style)),
        question_types=tuple(filled.question_types),
        timeout=float(filled.timeout_seconds),
        failure_budget=filled.failure_budget,
        audiences=tuple(filled.audiences),
        conversations=filled.conversations,
        judge=filled.judge_model,
        budget=r.Budget(
            max_tokens=filled.budget.max_tokens,
            max_cost=filled.budget.max_cost,
            prompt_price=filled.budget.prompt_price,
            completion_price=filled.budget.completion_price,
        ),
    )


def endpoints_of(stored: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the model endpoints that a job's stored spec uses; FailedPrecondition for one of the time when specs
    named addresses."""
    teacher = stored.get("curation", stored).get("teacher", {})
    if teacher.get("endpoint") or teacher.get("credentialsSecret"):
        raise FailedPrecondition(
            "this job's teacher names an address of its own, which no job may any more; submit it again with a "
            "modelEndpoint"
        )
    name = teacher.get("modelEndpoint", "")
    return (name,) if name else ()


def model_endpoint_to_proto(endpoint: ModelEndpoint, usage: Usage) -> pb_endpoint.ModelEndpoint:
    """An endpoint as those see it who may use it: neither address nor secret."""
    budget = endpoint.budget
    limited = budget != ModelBudget()
    return pb_endpoint.ModelEndpoint(
        name=endpoint.name,
        models=endpoint.models,
        budget=pb_endpoint.ModelBudget(**vars(budget)) if limited else None,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cost=budget.cost(usage),
    )


def preferences_from_proto(spec: pb.PreferenceSetSpec) -> r.PreferenceRecipe:
    """What a preference set is to hold. Defaults must have been applied."""
    return r.PreferenceRecipe(
        dataset=spec.dataset,
        pairs=spec.preferences.pairs,
        weak=r.Weak(pb.Preferences.WeakAnswers.Name(spec.preferences.weak_answers)),
        seed=spec.seed,
        teacher=teacher_from_proto(spec.teacher) if spec.HasField("teacher") else None,
        uri=spec.preferences.uri,
        suites=tuple(spec.suite_uris) if spec.preferences.uri else (),
    )


# --- resources --------------------------------------------------------------------------------------------


def dataset_to_proto(job: Job) -> pb.Dataset:
    """A data set as its job stands."""
    return pb.Dataset(
        name=job.name,
        spec=dataset_spec_from_json(job.spec),
        status=jobs.job_status_to_proto(job),
        source_sha256=str(job.spec.get(SOURCE_SHA256, "")),
    )


def general_set_to_proto(job: Job) -> pb.GeneralSet:
    """A general set as its job stands."""
    return pb.GeneralSet(
        name=job.name,
        spec=general_spec_from_json(job.spec),
        status=jobs.job_status_to_proto(job),
        source_sha256=str(job.spec.get(SOURCE_SHA256, "")),
    )


def preference_set_to_proto(job: Job) -> pb.PreferenceSet:
    """A preference set as its job stands."""
    return pb.PreferenceSet(
        name=job.name,
        spec=preference_spec_from_json(job.spec),
        status=jobs.job_status_to_proto(job),
        source_sha256=str(job.spec.get(SOURCE_SHA256, "")),
    )


def policy_from_proto(policy: pb.Review.Policy) -> Policy:
    """A review policy with its defaults."""
    filled = pb.Review.Policy()
    filled.CopyFrom(policy)
    apply_defaults(filled)
    return Policy(
        filled.sample, filled.share, filled.max_error_rate, filled.confidence, filled.reviewers, filled.repeats
    )


def task_from_proto(task: pb.Review.Task.ValueType) -> Task:
    """What reviewers are asked; whether answers are correct where nothing is said."""
    return Task(pb.Review.Task.Name(task)) if task else Task.RATE_CORRECTNESS


def review_to_proto(stored: Review, summary: Summary) -> pb.Review:
    """A review with what its ratings say."""
    return pb.Review(
        name=stored.name,
        subject=stored.subject,
        policy=pb.Review.Policy(**vars(stored.policy)),
        seed=stored.seed,
        state=_STATES[stored.state],
        summary=_summary(summary),
        artifact=stored.artifact,
        statement=stored.statement,
        create_time=to_timestamp(stored.created),
        end_time=to_timestamp(stored.ended),
        settle_time=to_timestamp(stored.settled),
        task=pb.Review.Task.Value(stored.task.value),
        attempt=pb.ReviewAttempt(**attempt) if (attempt := try_price.attempt_of(stored)) else None,
    )


_STATES = {
    ReviewState.OPEN: pb.Review.OPEN,
    ReviewState.CLOSING: pb.Review.OPEN,
    ReviewState.PASSED: pb.Review.PASSED,
    ReviewState.FAILED: pb.Review.FAILED,
    ReviewState.CANCELLED: pb.Review.CANCELLED,
}


def _summary(summary: Summary) -> pb.ReviewSummary:
    agreed = summary.agreement
    return pb.ReviewSummary(
        planned=summary.planned,
        rated=summary.rated,
        errors=summary.errors,
        error_rate=summary.error_rate,
        upper_bound=summary.upper_bound,
        allowed_errors=summary.allowed_errors,
        sufficient_sample=summary.sufficient_sample,
        chance_to_pass=summary.chance_to_pass,
        disagreements=summary.disagreements,
        agreement=pb.Agreement(items=agreed.items, raw=agreed.raw, kappa=agreed.kappa, ac1=agreed.ac1)
        if agreed
        else None,
        reviewer_kinds=summary.kinds,
        repeated=summary.repeated,
        self_agreement=summary.self_agreement,
        self_agreement_ac1=summary.self_agreement_ac1,
        strata=[_stratum(one) for one in summary.strata],
    )


def _stratum(one: Stratum) -> pb.ReviewStratum:
    return pb.ReviewStratum(
        name=one.name,
        size=one.size,
        planned=one.planned,
        rated=one.sampled,
        errors=one.errors,
        mended=one.mended,
        review=one.review,
    )


def correction_to_proto(one: Correction) -> pb.ReviewCorrection:
    """What a wrong item should say."""
    return pb.ReviewCorrection(
        pair=one.pair,
        question=one.question,
        answer=one.answer,
        corrections=one.corrections,
        comments=one.comments,
    )


def review_item_to_proto(item: Item, remaining: int, disputed: Sequence[Rating] = ()) -> pb.ReviewItem:
    """An item as a reviewer sees it: nothing of other reviewers, nothing of where it stands in the data set; and, where
    it is to be decided, what was said of it, but not by whom."""
    return pb.ReviewItem(
        item_id=item.id,
        question=item.question,
        answer=item.answer,
        rejected=item.rejected,
        evidence=item.evidence,
        section_text=item.section_text,
        drug=item.drug,
        section_title=item.section_title,
        remaining=remaining,
        ratings=[rating_to_proto(replace(rating, reviewer="")) for rating in disputed],
    )


def rating_from_proto(message: pb.ReviewRating, *, reviewer: str, at: datetime, adjudication: bool) -> Rating:
    """A rating as it came; without a kind it is nobody's in particular, least of all an expert's."""
    return Rating(
        item=message.item_id,
        reviewer=reviewer,
        kind=message.reviewer_kind.strip() or UNSTATED,
        judgement=Judgement(pb.ReviewRating.Judgement.Name(message.judgement)),
        comment=message.comment,
        at=at,
        adjudication=adjudication,
        correction=message.correction.strip(),
    )


def rating_to_proto(stored: Rating) -> pb.ReviewRating:
    """A rating as stored."""
    return pb.ReviewRating(
        item_id=stored.item,
        reviewer=stored.reviewer,
        reviewer_kind=stored.kind,
        judgement=pb.ReviewRating.Judgement.Value(stored.judgement.value),
        comment=stored.comment,
        correction=stored.correction,
        create_time=to_timestamp(stored.at),
    )


def thumb_from_proto(thumb: pb.Feedback.Thumb.ValueType) -> Thumb | None:
    """What was said; None for whatever was said."""
    return Thumb(pb.Feedback.Thumb.Name(thumb)) if thumb else None


def mark_from_proto(request: pb.CreateFeedbackRequest, *, namespace: str, author: str, at: datetime) -> Mark:
    """What a caller says of an answer."""
    thumb = Thumb(pb.Feedback.Thumb.Name(request.thumb))
    return Mark(namespace, request.answer, author, thumb, request.comment.strip(), "", at, has_text=False)


def mark_to_proto(stored: Mark) -> pb.Feedback:
    """A mark as stored."""
    return pb.Feedback(
        answer=stored.answer,
        thumb=pb.Feedback.Thumb.Value(stored.thumb.value),
        comment=stored.comment,
        author=stored.author,
        model_name=stored.model_name,
        create_time=to_timestamp(stored.at),
        review=stored.review,
        has_text=stored.has_text,
    )
