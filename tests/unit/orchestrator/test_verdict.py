"""Which failed verdicts a lower dose answers: those that are FAIL, by gates that compare with the base."""

from types import SimpleNamespace
from typing import Any

import pytest

from posology.orchestrator.stages.verdict import Verdict
from posology.v1alpha1 import evaluation_pb2 as pb

PASS, FAIL, FEW, INVALID = (
    pb.Verdict.PASS,
    pb.Verdict.FAIL,
    pb.Verdict.INSUFFICIENT_EVIDENCE,
    pb.Verdict.INVALID,
)


async def answered(outcome: Any, *gates: tuple[str, Any]) -> bool:
    """Whether training again with a lower dose is an answer to a verdict of these gates (kind and outcome)."""
    results = [pb.GateResult(suite="s", kind=kind, outcome=each) for kind, each in gates]

    async def get(_: Any) -> pb.Verdict:
        return pb.Verdict(outcome=outcome, gates=results)

    clients: Any = SimpleNamespace(evaluation=SimpleNamespace(GetVerdict=get), audits={})
    stage: Any = SimpleNamespace(resource="namespaces/n/verdicts/v")
    run: Any = None
    observation = await Verdict(clients).observe(run, stage)
    return bool(observation.details.get("onlyRegression"))


@pytest.mark.parametrize(
    ("outcome", "gates", "expected"),
    [
        (FAIL, [("regression", FAIL)], True),
        (FAIL, [("refusal", FAIL), ("refusal", PASS)], True),
        (FAIL, [("sycophancy", FAIL)], True),
        (FAIL, [("regression", FAIL), ("refusal", FAIL), ("accuracy", PASS), ("parity", PASS)], True),
        (FAIL, [("accuracy", FAIL)], False),
        (FAIL, [("gain", FAIL)], False),
        (FAIL, [("parity", FAIL)], False),
        (FAIL, [("regression", FAIL), ("accuracy", FAIL)], False),
        (FAIL, [("regression", FAIL), ("parity", FAIL)], False),
        (FAIL, [("regression", FAIL), ("accuracy", FEW)], False),
        (FAIL, [("regression", FAIL), ("regression", FEW)], False),
        (FEW, [("regression", FEW)], False),
        (INVALID, [("regression", FAIL), ("parity", INVALID)], False),
        (INVALID, [("refusal", INVALID)], False),
        (PASS, [("regression", PASS)], False),
        (FAIL, [("", FAIL)], False),  # a verdict of before gates said their kind
    ],
)
async def test_a_lower_dose_answers_what_is_shown_to_be_lost_alone(
    outcome: Any, gates: list[tuple[str, Any]], expected: bool
) -> None:
    assert await answered(outcome, *gates) is expected
