"""The few-shot base as a rival: the tuned model must beat what examples in the prompt do."""

from collections.abc import Iterator
from dataclasses import replace

from posology.evaluation.domain import FEW_SHOT, TUNED, Choice, GateResult, Outcome, Paired, SuiteKind
from posology.evaluation.gates.noninferiority import compare
from posology.evaluation.gates.registry import GateContext, gate
from posology.evaluation.pairs import problem
from posology.evaluation.statistics.paired import mcnemar


@gate("rival", demands=("min_gain_over_few_shot",), kinds=(SuiteKind.MULTIPLE_CHOICE,), metrics=("accuracy",))
def rival(ask: GateContext) -> Iterator[GateResult]:
    """PASS iff the lower bound of mean(tuned - few-shot base) exceeds `minGainOverFewShot`, and, where that is 0,
    McNemar's exact one-sided test rejects too; FAIL iff the upper bound lies below.
    """
    assert ask.gate is not None
    assert ask.gate.min_gain_over_few_shot is not None
    suite, limit, confidence = ask.gate.suite, ask.gate.min_gain_over_few_shot, ask.policy.confidence
    by_model = ask.evidence.choices.get(suite, {})
    if FEW_SHOT not in by_model:
        reason = "the base was not scored with examples in its prompt; set evaluation.baseline"
        yield GateResult(suite, "accuracy", Outcome.INVALID, reason)
        return
    if reason := problem({"base": by_model[FEW_SHOT], TUNED: by_model.get(TUNED, ())}):
        yield GateResult(suite, "accuracy", Outcome.INVALID, reason.replace("of base", "of the few-shot base"))
        return
    tuned = {item.id: item for item in by_model[TUNED]}
    comparison = compare([_paired(item, tuned[item.id]) for item in by_model[FEW_SHOT]], confidence=confidence)
    shots = ask.policy.baseline.shots if ask.policy.baseline else 0
    result = comparison.result(
        suite,
        "accuracy",
        limit=limit,
        margin=limit,
        confidence=confidence,
        sentence=(
            f"{comparison.base:.1%} by the base with {shots} examples in its prompt, {comparison.tuned:.1%} after; "
            f"the gain is at least {comparison.low:+.1%}, more than {limit:.1%} is asked"
        ),
    )
    p = mcnemar(comparison.gained, comparison.lost)
    if result.outcome is Outcome.PASS and limit == 0 and p > 1 - confidence:
        open_yet = Outcome.INSUFFICIENT_EVIDENCE
        sentence = result.explanation.replace(Outcome.PASS.value, f"McNemar's exact p is {p:.3f}: {open_yet.value}")
        result = replace(result, outcome=open_yet, explanation=sentence)
    method = f"{result.method}; McNemar exact, one-sided" if limit == 0 else result.method
    yield replace(result, method=method, details={**result.details, "shots": shots})


def _paired(before: Choice, after: Choice) -> Paired:
    return Paired(before.id, before.cluster or before.id, int(before.correct), int(after.correct))
