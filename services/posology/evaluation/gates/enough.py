"""What would have sufficed where the evidence did not: how many items, and what scoring them costs."""

from collections.abc import Mapping
from dataclasses import replace

from posology.evaluation.domain import GateResult, Outcome
from posology.evaluation.statistics.power import POWER

MODELS = 2
"""Base and candidate answer each item."""


def advised(result: GateResult, pace: Mapping[str, float]) -> GateResult:
    """`result`, with a sentence more where it proves too little; `pace` in seconds an item and model, by suite."""
    if result.outcome is not Outcome.INSUFFICIENT_EVIDENCE or not result.n or "labels" in result.details:
        return result
    return replace(result, explanation=f"{result.explanation}; {_advice(result, pace.get(result.suite))}")


def _advice(result: GateResult, seconds: float | None) -> str:
    unit = "prompts" if result.suite == "parity" else "items"
    if not result.sufficient_n:
        return f"no number of {unit} shows it for an estimate like this one: train anew, or state another limit"
    if result.sufficient_n <= result.n:
        return f"as many new {unit} show it {POWER:.0%} of the time, if the estimate holds"
    needed = (
        f"{result.sufficient_n:,} {unit} ({result.sufficient_n / result.n:.1f} times these) show it {POWER:.0%} of the "
        "time, if the estimate holds"
    )
    if seconds is None:
        return needed
    return f"{needed}, and take {_duration(MODELS * seconds * result.sufficient_n)} at the pace of this evaluation"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
