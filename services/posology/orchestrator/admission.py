"""Before a run is stored: defaults written, and every service asked what is wrong with its part."""

import asyncio
from collections.abc import Awaitable, Iterator

from posology.core import doses, schema
from posology.core.errors import InvalidInput, PermissionDenied, Violation
from posology.orchestrator.clients import Clients
from posology.orchestrator.stages import plan
from posology.v1alpha1 import curation_pb2, evaluation_pb2, orchestrator_pb2, training_pb2

# What an answer without fields is about: it refuses a place that may not be read.
_ABOUT = {
    "curation": "spec.curation",
    "preferences": "spec.curation.preferences.uri",
    "base": "spec.baseModel.uri",
    "evaluation": "spec.evaluation.suites",
    "plan": "spec.baseModel.uri",
}
# Where a violation that a service reports stands in the run's spec.
_MOVED = {
    "preferences": ("spec.preferences.", "spec.curation.preferences."),
    "base": ("spec.", "spec.baseModel."),
    "plan": ("", "spec."),
}


async def admit(clients: Clients, request: orchestrator_pb2.CreateRunRequest) -> None:
    """Write the defaults into the request's spec and check it whole; InvalidInput lists everything that is wrong."""
    schema.apply_defaults(request.spec)
    schema.validate(request.spec, at="spec")
    if wrong := list(doses.violations(schema.to_mapping(request.spec))):
        raise InvalidInput.of(wrong)
    answers = await asyncio.gather(*(_wrong(part, call) for part, call in _questions(clients, request)))
    violations = [violation for answer in answers for violation in answer]
    violations += _judge_is_the_teacher(request.spec)
    if violations:
        raise InvalidInput.of(dict.fromkeys(violations))


def _judge_is_the_teacher(spec: orchestrator_pb2.FineTuneRunSpec) -> Iterator[Violation]:
    """A judge who taught prefers its own words; an endpoint without a named model may give both the same one."""
    judge, teacher = spec.evaluation.judge, spec.curation.teacher
    if not judge.model_endpoint or judge.model_endpoint != teacher.model_endpoint:
        return
    if not judge.model or not teacher.model or judge.model == teacher.model:
        reason = f"is the teacher's ({teacher.model or 'its first model'}); a judge never is: name another model of it"
        yield Violation("spec.evaluation.judge.model", reason)


def _questions(clients: Clients, request: orchestrator_pb2.CreateRunRequest) -> Iterator[tuple[str, Awaitable[object]]]:
    spec, parent = request.spec, request.parent
    curation = curation_pb2.CurationSpec()
    curation.CopyFrom(spec.curation)
    suites = [suite.uri for suite in spec.evaluation.suites]
    dataset = curation_pb2.DatasetSpec(curation=curation, suite_uris=suites)
    model_name = (spec.serving.model_name or request.run_id) if spec.HasField("serving") else ""
    evaluation = evaluation_pb2.EvaluationJobSpec(evaluation=spec.evaluation, model_name=model_name)
    yield (
        "curation",
        clients.curation.CreateDataset(
            curation_pb2.CreateDatasetRequest(parent=parent, dataset_id="check", spec=dataset, validate_only=True)
        ),
    )
    if curation.preferences.uri:
        yield "preferences", clients.curation.CreatePreferenceSet(_own_preferences(parent, curation, suites))
    yield (
        "base",
        clients.training.CreateBaseModel(
            training_pb2.CreateBaseModelRequest(
                parent=parent, base_model_id="check", spec=spec.base_model, validate_only=True
            )
        ),
    )
    yield (
        "evaluation",
        clients.evaluation.CreateEvaluation(
            evaluation_pb2.CreateEvaluationRequest(
                parent=parent,
                evaluation_id="check",
                spec=evaluation,
                validate_only=True,
                planned_reviews=_planned_reviews(spec.curation) if spec.HasField("curation") else None,
            )
        ),
    )
    mapping = schema.to_mapping(spec)
    for one in [doses.dosed(mapping, dose) for dose in doses.doses_of(mapping)] or [mapping]:
        yield "plan", clients.training.PlanTraining(plan.request(one))


def _own_preferences(
    parent: str, curation: curation_pb2.CurationSpec, suites: list[str]
) -> curation_pb2.CreatePreferenceSetRequest:
    """Whether the file of one's own preferences can be read."""
    preferences = curation_pb2.Preferences()
    preferences.CopyFrom(curation.preferences)
    preferences.ClearField("review")
    spec = curation_pb2.PreferenceSetSpec(preferences=preferences, seed=curation.seed, suite_uris=suites)
    return curation_pb2.CreatePreferenceSetRequest(
        parent=parent, preference_set_id="check", spec=spec, validate_only=True
    )


def _planned_reviews(curation: curation_pb2.CurationSpec) -> evaluation_pb2.PlannedReviews:
    """The reviews of a run, for a release policy that asks for some."""
    stated = []
    if curation.HasField("review"):
        stated.append(("DATASET", curation.review))
    if curation.HasField("preferences") and curation.preferences.HasField("review"):
        stated.append(("PREFERENCES", curation.preferences.review))
    return evaluation_pb2.PlannedReviews(
        reviews=[
            evaluation_pb2.PlannedReview(
                of=of,
                sample=0 if review.share else review.sample,
                confidence=review.confidence,
                reviewers=review.reviewers,
                max_error_rate=review.max_error_rate,
            )
            for of, review in stated
        ]
    )


async def _wrong(part: str, call: Awaitable[object]) -> list[Violation]:
    try:
        await call
    except (InvalidInput, PermissionDenied) as error:
        if not error.violations:
            return [Violation(_ABOUT[part], error.message)]
        return [_moved(part, violation) for violation in error.violations]
    return []


def _moved(part: str, violation: Violation) -> Violation:
    before, after = _MOVED.get(part, ("", ""))
    if not before and violation.field.startswith("spec."):
        return violation
    return Violation(after + violation.field.removeprefix(before), violation.description)
