"""Parity: what was trained is what was merged is what is served; part of every policy."""

from collections.abc import Iterator

from posology.evaluation.domain import GateResult, Outcome, ParityLimits, ParityStep
from posology.evaluation.gates.registry import GateContext, gate


@gate("parity", metrics=("agreement", "kl"))
def parity(ask: GateContext) -> Iterator[GateResult]:
    """For each rung, the greedy agreement over all teacher-forced tokens and the mean KL against the tolerances.

    These are tolerances on what was measured, not estimates of a population: no interval. A tolerance is set at a
    few times the noise floor of the precision (KL .00002, agreement .997 for a bf16 merge), not by taste.
    """
    if not ask.evidence.parity:
        yield GateResult(
            "parity", "agreement", Outcome.INVALID, "the ladder adapter = merged = served was not measured"
        )
    for step in ask.evidence.parity:
        yield _agreement(step, ask.policy.parity)
        yield _divergence(step, ask.policy.parity)


def _agreement(step: ParityStep, limits: ParityLimits) -> GateResult:
    sound = step.tokens > 0 and step.agreement == step.agreement
    outcome = _outcome(sound, step.agreement >= limits.min_agreement)
    return GateResult(
        suite="parity",
        metric=f"agreement {step.name}",
        outcome=outcome,
        explanation=(
            f"{step.name}: the same greedy token at {step.agreement:.2%} of {step.tokens} positions, "
            f"{limits.min_agreement:.2%} asked: {outcome.value}"
        ),
        n=step.tokens,
        estimate=step.agreement,
        low=step.agreement,
        high=step.agreement,
        method="teacher-forced, exact",
        margin=limits.min_agreement,
    )


def _divergence(step: ParityStep, limits: ParityLimits) -> GateResult:
    kl = step.mean_kl
    outcome = _outcome(kl is not None and kl == kl, kl is not None and kl <= limits.max_kl)
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


def _outcome(sound: bool, within: bool) -> Outcome:
    if not sound:
        return Outcome.INVALID
    return Outcome.PASS if within else Outcome.FAIL
