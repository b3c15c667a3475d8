"""Parity: what was trained is what was merged is what is served; part of every policy."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from posology.evaluation.domain import (
    ExactCheck,
    GateResult,
    MergeProof,
    Outcome,
    ParityLimits,
    ParityStep,
    PromptParity,
)
from posology.evaluation.gates.registry import GateContext, gate
from posology.evaluation.statistics.excess import Excess, excess, sufficient_prompts

ADAPTER_STEP = "adapter = merged"
"""The step that exists where an adapter was trained, and that the proof on the weights belongs to."""
RESIDUAL = 1.0
"""Most rounding errors of the stored precision, in norm, by which a merged tensor may miss the recomputed one."""


@gate("parity", metrics=("disagreement", "agreement", "kl", "merge"))
def parity(ask: GateContext) -> Iterator[GateResult]:
    """Each step against a control, under absolute ceilings; the merge on the weights; and what must be equal exactly.

    A control goes through the same two paths on the same tokens, so that the noise of a precision cancels: the base
    through this process and the engine, and for adapter = merged a merge that the checker makes itself, since only it
    rounds as the adapter's path does. Defects that both share cancel too, hence the ceilings.
    """
    evidence, limits = ask.evidence, ask.policy.parity
    if not evidence.parity:
        yield _invalid("disagreement", "the chain trained = merged = served was not measured")
    for step in evidence.parity:
        yield _excess(step, limits, confidence=ask.policy.confidence)
        yield _agreement(step, limits)
        yield _divergence(step, limits)
    if any(step.name == ADAPTER_STEP for step in evidence.parity):
        yield _merge(evidence.merge, limits)
    if evidence.parity and not evidence.exact:
        yield _invalid("exact", "template, end of turn and adapter were not compared")
    for check in evidence.exact:
        yield _exact(check)


def _excess(step: ParityStep, limits: ParityLimits, *, confidence: float) -> GateResult:
    """The bound with near ties set aside, if they are few enough to be; else over every position.

    Tokens that a precision cannot tell apart differ without a defect, but what is set aside could also hide one.
    Beyond the limit nothing is excused: the control's noise is still subtracted, and what this leaves open is the
    harness's fault, not the model's.
    """
    metric = f"disagreement {step.name}"
    if not step.prompts or not sum(p.positions for p in step.prompts):
        return _invalid(metric, f"{step.name}: no control was measured; evaluate again")
    ties = [sum(p.ties for p in step.prompts), sum(p.control_ties for p in step.prompts)]
    positions = sum(p.positions for p in step.prompts)
    tied = max(ties) / positions
    few = tied <= limits.max_ties
    counted = all(p.control_all_different is not None for p in step.prompts)
    if not few and not counted:
        return _invalid(metric, f"{step.name}: {tied:.1%} of the positions nearly tie; evaluate again to count them")
    measured = excess(step.prompts if few else _every_position(step.prompts), confidence=confidence)
    outcome = _beyond(measured, limits.max_excess)
    if not few and outcome is Outcome.INSUFFICIENT_EVIDENCE:
        outcome = Outcome.INVALID
    return GateResult(
        suite="parity",
        metric=metric,
        outcome=outcome,
        explanation=_sentence(step, measured, limits, tied, outcome),
        n=measured.prompts,
        estimate=measured.estimate,
        low=measured.low,
        high=measured.high,
        method="paired with a control through the same paths, clustered by prompt (CR1, at least Tango), one-sided",
        margin=limits.max_excess,
        confidence=confidence,
        minimum_detectable_effect=limits.max_excess,
        sufficient_n=sufficient_prompts(measured, limits.max_excess, confidence=confidence),
        details={
            "positions": measured.positions,
            "candidate": measured.candidate,
            "control": measured.control,
            "ties": ties[0] / measured.positions,
            "controlTies": ties[1] / measured.positions,
            "maxTies": limits.max_ties,
            "tiesSetAside": few,
            "tieWidth": step.tie_width,
        },
    )


def _every_position(prompts: Sequence[PromptParity]) -> list[PromptParity]:
    return [replace(p, different=p.all_different or 0, control_different=p.control_all_different or 0) for p in prompts]


def _sentence(step: ParityStep, measured: Excess, limits: ParityLimits, tied: float, outcome: Outcome) -> str:
    few = tied <= limits.max_ties
    ties = (
        f"{tied:.1%} near ties set aside" if few else f"{tied:.1%} nearly tie, too many to set aside, so that all count"
    )
    noisy = "; the paths are too noisy to tell: score in a higher precision, or with more prompts"
    return (
        f"{step.name}: other tokens at {measured.candidate:.2%} of {measured.positions} positions, the control through "
        f"the same paths {measured.control:.2%} ({ties}); the excess over {measured.prompts} "
        f"prompts is at most {measured.high:+.2%}, less than {limits.max_excess:.2%} is asked"
        f"{noisy if outcome is Outcome.INVALID else ''}: {outcome.value}"
    )


def _beyond(measured: Excess, limit: float) -> Outcome:
    if measured.high < limit:
        return Outcome.PASS
    return Outcome.FAIL if measured.low > limit else Outcome.INSUFFICIENT_EVIDENCE


def _agreement(step: ParityStep, limits: ParityLimits) -> GateResult:
    sound = step.tokens > 0 and step.agreement == step.agreement
    outcome = _within(sound, step.agreement >= limits.min_agreement)
    return GateResult(
        suite="parity",
        metric=f"agreement {step.name}",
        outcome=outcome,
        explanation=(
            f"{step.name}: the same greedy token at {step.agreement:.2%} of {step.tokens} positions, near ties "
            f"included; the ceiling beside the control asks {limits.min_agreement:.2%}: {outcome.value}"
        ),
        n=step.tokens,
        estimate=step.agreement,
        low=step.agreement,
        high=step.agreement,
        method="teacher-forced, exact",
        margin=limits.min_agreement,
        details={"control": step.control_agreement},
    )


def _divergence(step: ParityStep, limits: ParityLimits) -> GateResult:
    kl = step.mean_kl
    outcome = _within(kl is not None and kl == kl, kl is not None and kl <= limits.max_kl)
    shown = "not a number" if kl is None else f"{kl:.2g} nats a token"
    return GateResult(
        suite="parity",
        metric=f"kl {step.name}",
        outcome=outcome,
        explanation=f"{step.name}: mean KL {shown}, at most {limits.max_kl:.2g} asked: {outcome.value}",
        n=step.tokens,
        estimate=kl or 0.0,
        low=kl or 0.0,
        high=kl or 0.0,
        method="teacher-forced, exact",
        margin=limits.max_kl,
        details={"largestDifference": step.max_difference},
    )


def _merge(proof: MergeProof | None, limits: ParityLimits) -> GateResult:
    """Per adapted tensor, the projection on its update and the residual; and nothing else may have changed."""
    if proof is None or not proof.tensors:
        return _invalid("merge", "the merged weights were not compared with base and adapter; evaluate again")
    distances = [(_distance(t.projection), t.name) for t in proof.tensors]
    farthest, name = max(distances)
    wrong = sum(distance > limits.merge_tolerance for distance, _ in distances)
    residuals = [(math.inf if t.residual is None else t.residual, t.name) for t in proof.tensors]
    rough, rough_name = max(residuals)
    sound = not wrong and rough <= RESIDUAL and not proof.changed
    outcome = _within(True, sound)
    parts = [f"{len(proof.tensors)} tensors, projection on the adapter's update 1 {farthest:+.4f} at most ({name})"]
    if wrong:
        parts.append(f"{wrong} are farther from 1 than {limits.merge_tolerance}")
    if rough > RESIDUAL:
        parts.append(f"{rough_name} is {rough:.1f} rounding errors from the merge recomputed on the trained base")
    if proof.changed:
        parts.append(f"{len(proof.changed)} tensors without an adapter differ from the base, first {proof.changed[0]}")
    return GateResult(
        suite="parity",
        metric="merge",
        outcome=outcome,
        explanation=f"the merge on the weights: {'; '.join(parts)}: {outcome.value}",
        n=len(proof.tensors),
        estimate=farthest if math.isfinite(farthest) else 1.0,
        low=0.0,
        high=limits.merge_tolerance,
        method="projection of (stored - base) on BA over that of a recomputed merge",
        margin=limits.merge_tolerance,
        details={
            "wrongTensors": wrong,
            "largestResidual": rough if math.isfinite(rough) else None,
            "changedElsewhere": len(proof.changed),
        },
    )


def _distance(projection: float | None) -> float:
    return math.inf if projection is None else abs(projection - 1)


def _exact(check: ExactCheck) -> GateResult:
    outcome = _within(bool(check.expected), check.expected == check.observed)
    equal = "equal" if outcome is Outcome.PASS else f"{check.observed or 'none'}, not {check.expected or 'known'}"
    return GateResult(
        suite="parity",
        metric=check.name,
        outcome=outcome,
        explanation=f"{check.name} as trained and as served: {equal}: {outcome.value}",
        n=1,
        estimate=float(check.expected == check.observed),
        low=float(check.expected == check.observed),
        high=1.0,
        method="exact",
        margin=1.0,
    )


def _within(sound: bool, within: bool) -> Outcome:
    if not sound:
        return Outcome.INVALID
    return Outcome.PASS if within else Outcome.FAIL


def _invalid(metric: str, explanation: str) -> GateResult:
    return GateResult("parity", metric, Outcome.INVALID, explanation)
