"""Protobuf <-> domain: the only place of this service that knows both."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from google.protobuf import json_format

from posology.core import names, schema
from posology.core.errors import InvalidInput, PermissionDenied, Violation
from posology.core.jobs import convert as jobs_convert
from posology.core.jobs.domain import Job, Resources
from posology.core.rpc import context
from posology.core.rpc.context import Kind
from posology.core.times import to_timestamp
from posology.engine import EngineConfig
from posology.evaluation.development import ComparedDose
from posology.evaluation.domain import (
    Baseline,
    Development,
    EvaluationRequest,
    Gate,
    GateResult,
    IssuedVerdict,
    LmEvalTask,
    Outcome,
    ParityLimits,
    PlannedReview,
    Policy,
    Scoring,
    Suite,
    SuiteKind,
    VerdictRequest,
)
from posology.evaluation.window import Estimate, Judged, Rule, Window
from posology.v1alpha1 import evaluation_pb2 as pb

_DEMANDS = (
    "at_least",
    "lower_bound_at_least",
    "max_drop",
    "min_gain",
    "max_flip_rate_increase",
    "win_rate_above",
    "acceptable_at_least",
    "max_confident_claims",
    "min_gain_over_few_shot",
    "base_refuses_at_least",
    "judged",
    "sample",
    "raters",
)


def asked_from_proto(request: pb.CreateEvaluationRequest) -> EvaluationRequest:
    """A request with every default written into its spec."""
    spec = pb.EvaluationJobSpec()
    spec.CopyFrom(request.spec)
    schema.apply_defaults(spec)
    name = f"{request.parent}/evaluations/{request.evaluation_id}"
    if not request.evaluation_id and not request.validate_only:
        raise InvalidInput.of([Violation("evaluation_id", "is missing")])
    reviews = None
    if request.HasField("planned_reviews"):
        planned = request.planned_reviews.reviews
        reviews = tuple(
            PlannedReview(one.of, one.sample, one.confidence, one.reviewers, one.max_error_rate) for one in planned
        )
    return EvaluationRequest(name, schema.to_mapping(spec), request.request_id, request.validate_only, reviews)


def policy_from_spec(spec: Mapping[str, Any], digests: Mapping[str, str]) -> Policy:
    """What decides a verdict; `digests` by name of suite (empty ones when only validating).

    Of a development evaluation: its suites, and no gates; of the baseline's, its suite alone. Of any other: the suites
    that gate, and no development ones.
    """
    job = schema.parse(pb.EvaluationJobSpec, dict(spec))
    message = job.evaluation
    suites = tuple(_suite(suite, digests.get(suite.name, "")) for suite in message.suites)
    baseline = _baseline(message, suites)
    chosen = tuple(suite for suite in suites if (suite.development is not None) == job.development)
    if job.baseline:
        chosen = tuple(suite for suite in suites if baseline and suite.name == baseline.suite)
    return Policy(
        suites=chosen,
        baseline=baseline,
        gates=() if job.development or job.baseline else tuple(_gate(gate) for gate in message.gates),
        confidence=message.confidence,
        parity=ParityLimits(
            prompts=message.parity.prompts,
            max_kl=message.parity.max_kl,
            min_agreement=message.parity.min_agreement,
            max_excess=message.parity.max_excess,
            max_ties=message.parity.max_ties,
            merge_tolerance=message.parity.merge_tolerance,
        ),
    )


def _baseline(message: pb.EvaluationSpec, suites: Sequence[Suite]) -> Baseline | None:
    """What the baseline asks for; its suite is the only one that may be meant where none is named, "" for no such."""
    if not message.HasField("baseline"):
        return None
    usable = [one.name for one in suites if one.development is Development.BENEFIT and one.kind.questions]
    name = message.baseline.suite or (usable[0] if len(usable) == 1 else "")
    return Baseline(name, message.baseline.few_shot)


def engine_from_spec(spec: Mapping[str, Any]) -> EngineConfig:
    """The engine as asked for; template and version are observed when it starts."""
    evaluation = schema.parse(pb.EvaluationJobSpec, dict(spec)).evaluation
    message = evaluation.engine
    return EngineConfig(
        dtype=message.dtype,
        max_model_len=message.max_model_len,
        enforce_eager=message.enforce_eager if message.HasField("enforce_eager") else not evaluation.resources.gpus,
        seed=message.seed,
        generation_config=message.generation_config,
        gpu_memory_utilization=message.gpu_memory_utilization,
        max_num_seqs=message.max_num_seqs,
        quantization=message.quantization,
    )


def endpoints_of(job: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the model endpoints that a job's stored spec uses."""
    name = job["spec"]["evaluation"].get("judge", {}).get("modelEndpoint", "")
    return (name,) if name else ()


def resources_from_spec(spec: Mapping[str, Any], default: Resources) -> Resources:
    """What an evaluation asks of the machine; what it leaves open is the installation's."""
    asked = schema.parse(pb.EvaluationJobSpec, dict(spec)).evaluation.resources
    return replace(default, gpus=asked.gpus, node_pool=asked.node_pool, queue=asked.queue)


def _suite(message: pb.Suite, digest: str) -> Suite:
    return Suite(
        name=message.name,
        digest=digest,
        kind=SuiteKind(pb.Suite.Kind.Name(message.kind)),
        scoring=Scoring(pb.Suite.Scoring.Name(message.scoring)),
        max_tokens=message.max_tokens,
        development=Development(pb.Development.Name(message.development)) if message.HasField("development") else None,
        lm_eval=LmEvalTask(
            message.lm_eval.task, message.lm_eval.version, message.lm_eval.metric, message.lm_eval.few_shot
        )
        if message.HasField("lm_eval")
        else None,
    )


def _gate(message: pb.Gate) -> Gate:
    stated = {field.name: value for field, value in message.ListFields() if field.name in _DEMANDS}
    return Gate(message.suite, message.metric, **stated)


def job_to_proto(job: Job) -> pb.EvaluationJob:
    """A job row as the resource that it is."""
    return evaluation_to_proto(job.name, job.spec["spec"], job.spec["sourceSha256"], job)


def evaluation_to_proto(
    name: str, spec: Mapping[str, Any], source_sha256: str, job: Job | None = None
) -> pb.EvaluationJob:
    """An evaluation; without a job it was only validated."""
    return pb.EvaluationJob(
        name=name,
        spec=json_format.ParseDict(dict(spec), pb.EvaluationJobSpec()),
        status=jobs_convert.job_status_to_proto(job) if job else None,
        source_sha256=source_sha256,
    )


def to_issue_from_proto(request: pb.IssueVerdictRequest, *, run: str) -> VerdictRequest:
    """A request for a verdict."""
    if not request.verdict_id and not request.validate_only:
        raise InvalidInput.of([Violation("verdict_id", "is missing")])
    return VerdictRequest(
        namespace=names.namespace_of_parent(request.parent),
        name=f"{request.parent}/verdicts/{request.verdict_id}",
        evaluation=request.evaluation,
        statements=tuple(request.statements),
        lineage=tuple(request.lineage),
        audit_heads=_anchored(request),
        run=run,
        request_id=request.request_id,
        validate_only=request.validate_only,
        doses_tried=request.doses_tried,
    )


def doses_from_proto(request: pb.CompareDosesRequest) -> tuple[tuple[ComparedDose, ...], Rule]:
    """The doses to compare, and what decides."""
    doses = tuple(ComparedDose(one.number, one.label, one.evaluation, one.stopped) for one in request.doses)
    return doses, Rule(request.margin, request.max_drop, request.min_gain, request.confidence)


def window_to_proto(window: Window) -> pb.DoseComparison:
    """The window as it is shown."""
    return pb.DoseComparison(
        doses=[_judged(one) for one in window.doses],
        best=window.best,
        recommended=window.recommended,
        sufficient_n=window.sufficient,
        sentence=window.sentence,
        margin=window.rule.margin,
        max_drop=window.rule.max_drop,
        min_gain=window.rule.min_gain,
        confidence=window.rule.confidence,
    )


def _judged(one: Judged) -> pb.JudgedDose:
    return pb.JudgedDose(
        number=one.number,
        label=one.label,
        intensity=one.intensity,
        accuracy=one.accuracy,
        gain=_estimate(one.gain),
        side_effects={name: estimate for name, each in one.side_effects.items() if (estimate := _estimate(each))},
        versus_best=_estimate(one.versus_best),
        rival=one.rival,
        out=one.out,
        dominated=one.dominated,
    )


def _estimate(one: Estimate | None) -> pb.DoseEstimate | None:
    if one is None:
        return None
    return pb.DoseEstimate(n=one.n, estimate=one.estimate, low=one.low, high=one.high, sufficient_n=one.sufficient)


def _anchored(request: pb.IssueVerdictRequest) -> dict[str, Any]:
    """Ends of other services' chains, as a verdict signs them; PermissionDenied for those that a user states."""
    if (request.audit_chains or request.audit_heads) and context.caller.get().kind is Kind.USER:
        raise PermissionDenied("audit_chains: only services say how their chains end; leave it out")
    ends = {head.service: {"length": head.length, "digest": head.digest} for head in request.audit_chains}
    return {**request.audit_heads, **ends}


def verdict_to_proto(found: IssuedVerdict) -> pb.Verdict:
    """A verdict as it is shown."""
    return pb.Verdict(
        name=found.name,
        outcome=pb.Verdict.Outcome.Value(found.outcome.value),
        gates=[_gate_result(gate) for gate in found.gates],
        model=found.model,
        evaluation=found.evaluation,
        envelope=found.envelope,
        artifact=found.artifact,
        create_time=to_timestamp(found.created),
        holdout_uses=found.holdout_uses,
        tries=found.tries,
        policy=found.policy,
        policy_gaps=found.policy_gaps,
        policy_findings=[
            pb.PolicyFinding(requirement=one.requirement, met=one.met, shown=one.shown) for one in found.policy_findings
        ],
        doses_tried=found.doses_tried,
    )


def _gate_result(gate: GateResult) -> pb.GateResult:
    return pb.GateResult(
        suite=gate.suite,
        metric=gate.metric,
        outcome=pb.Verdict.Outcome.Value(gate.outcome.value),
        n=gate.n,
        estimate=gate.estimate,
        low=gate.low,
        high=gate.high,
        method=gate.method,
        margin=gate.margin,
        confidence=gate.confidence,
        minimum_detectable_effect=gate.minimum_detectable_effect,
        sufficient_n=gate.sufficient_n,
        explanation=gate.explanation,
        details=jobs_convert.struct_to_proto(gate.details),
        kind=gate.kind,
        demands=gate.demands,
    )


def gate_to_json(gate: GateResult) -> dict[str, Any]:
    """A gate as it stands in the signed statement: the JSON mapping of the contract's message, zeros included."""
    found: dict[str, Any] = json_format.MessageToDict(_gate_result(gate), always_print_fields_with_no_presence=True)
    return found


def gate_from_json(found: Mapping[str, Any]) -> GateResult:
    """The inverse of `gate_to_json`."""
    message = json_format.ParseDict(dict(found), pb.GateResult())
    return GateResult(
        suite=message.suite,
        metric=message.metric,
        outcome=Outcome(pb.Verdict.Outcome.Name(message.outcome)),
        explanation=message.explanation,
        n=message.n,
        estimate=message.estimate,
        low=message.low,
        high=message.high,
        method=message.method,
        margin=message.margin,
        confidence=message.confidence,
        minimum_detectable_effect=message.minimum_detectable_effect,
        sufficient_n=message.sufficient_n,
        details=jobs_convert.struct_from_proto(message.details),
        kind=message.kind,
        demands=dict(message.demands),
    )
