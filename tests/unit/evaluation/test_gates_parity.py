"""Near ties are set aside while they are few; beyond the limit every position counts, and the control still cancels."""

from dataclasses import replace

import pytest

from posology.evaluation.domain import Evidence, Outcome, ParityLimits, ParityStep, Policy, PromptParity
from posology.evaluation.gates.parity import parity
from posology.evaluation.gates.registry import GateContext

PROMPTS, POSITIONS = 256, 64


def outcome(prompt: PromptParity, *, other: PromptParity | None = None) -> Outcome:
    """Of the disagreement where half of the prompts are like `prompt`, the rest like `other`."""
    prompts = tuple(prompt if i % 2 else other or prompt for i in range(PROMPTS))
    step = ParityStep("merged = served", PROMPTS * POSITIONS, 0.97, 0.001, 0.1, prompts, 0.1, 0.97)
    results = parity(GateContext(None, Policy((), (), parity=ParityLimits()), Evidence(parity=[step])))
    return next(r.outcome for r in results if r.metric.startswith("disagreement"))


@pytest.mark.parametrize(
    ("ties", "different", "all_different", "control_all", "expected"),
    [
        (0, 0, 0, 0, Outcome.PASS),
        (6, 0, 6, 0, Outcome.PASS),  # 9.4% tie and are set aside, whatever became of them
        (7, 0, 2, 2, Outcome.PASS),  # 10.9% tie, nothing is set aside: the control has the same noise
        (30, 0, 3, 3, Outcome.PASS),
        (7, 0, 7, 0, Outcome.FAIL),  # a defect may not hide behind many ties
        (30, 0, 5, 3, Outcome.FAIL),
        (0, 2, 2, 0, Outcome.FAIL),
    ],
)
def test_ties_excuse_while_they_are_few(
    ties: int, different: int, all_different: int, control_all: int, expected: Outcome
) -> None:
    assert outcome(PromptParity(POSITIONS, different, ties, 0, ties, all_different, control_all)) is expected


def test_the_more_of_the_candidates_and_the_controls_ties_counts() -> None:
    assert outcome(PromptParity(POSITIONS, 0, 0, 0, 30, 6, 0)) is Outcome.FAIL
    assert outcome(PromptParity(POSITIONS, 0, 30, 0, 0, 6, 0)) is Outcome.FAIL


def test_noise_that_leaves_the_question_open_is_the_harness_at_fault() -> None:
    """One prompt in two differs by four, the other by nearly as many the other way: nothing is shown."""
    noisy = PromptParity(POSITIONS, 0, 30, 0, 30, 30, 12)
    assert outcome(noisy, other=replace(noisy, all_different=12, control_all_different=29)) is Outcome.INVALID


def test_evidence_of_before_that_counted_no_ties_is_invalid_where_they_decide() -> None:
    assert outcome(PromptParity(POSITIONS, 0, 30, 0, 30)) is Outcome.INVALID
    assert outcome(PromptParity(POSITIONS, 0, 3, 0, 3)) is Outcome.PASS
