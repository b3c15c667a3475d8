"""INSUFFICIENT_EVIDENCE says which number of items would do, and at what cost."""

import pytest

from posology.evaluation import gates
from posology.evaluation.domain import BASE, TUNED, Choice, Evidence, Gate, GateResult, Outcome, Policy, Suite
from posology.evaluation.gates.enough import advised

RIGHT, WRONG = (-1.0, -2.0), (-2.0, -1.0)


def choices(n: int, right: int) -> list[Choice]:
    return [Choice(f"q{i}", "", 0, RIGHT if i < right else WRONG) for i in range(n)]


def drop(n: int, base: int, tuned: int, *, pace: float | None = None) -> GateResult:
    by_model = {BASE: choices(n, base), TUNED: choices(n, tuned)}
    evidence = Evidence(choices={"s": by_model}, pace={} if pace is None else {"s": pace})
    policy = Policy((Suite("s", "d"),), (Gate("s", max_drop=0.03),))
    return next(r for r in gates.decide(policy, evidence) if r.suite == "s")


def test_too_few_items_are_told_how_many_and_how_long() -> None:
    result = drop(100, 80, 79, pace=0.9)
    assert result.outcome is Outcome.INSUFFICIENT_EVIDENCE
    assert f"{result.sufficient_n:,} items ({result.sufficient_n / 100:.1f} times these)" in result.explanation
    assert f"{round(2 * 0.9 * result.sufficient_n / 60)} min" in result.explanation


def test_an_unknown_pace_is_no_cost() -> None:
    assert "at the pace" not in drop(100, 80, 79).explanation


def test_an_estimate_beyond_its_limit_is_helped_by_no_number() -> None:
    result = drop(100, 80, 77)
    assert result.outcome is Outcome.INSUFFICIENT_EVIDENCE
    assert "no number of items" in result.explanation


@pytest.mark.parametrize(("base", "tuned", "n"), [(800, 800, 1000), (80, 60, 100)])
def test_what_is_decided_needs_no_advice(base: int, tuned: int, n: int) -> None:
    result = drop(n, base, tuned, pace=1.0)
    assert result.outcome in (Outcome.PASS, Outcome.FAIL)
    assert result.explanation.endswith(result.outcome.value)


def test_bad_luck_is_told_that_as_many_again_would_do() -> None:
    unlucky = GateResult("s", "accuracy", Outcome.INSUFFICIENT_EVIDENCE, "x", n=500, sufficient_n=400)
    assert "as many new items" in advised(unlucky, {}).explanation


def test_parity_counts_prompts() -> None:
    short = GateResult("parity", "disagreement", Outcome.INSUFFICIENT_EVIDENCE, "x", n=16, sufficient_n=60)
    assert "60 prompts (3.8 times these)" in advised(short, {}).explanation
