"""Healthy candidates pass parity and every planted defect fails it, on tiny models, in every precision of training."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow

HEALTHY = ("LORA float32", "LORA bfloat16", "LORA bfloat16 again", "QLORA", "QLORA again")
DEFECTS = {
    "layer skipped": "merge",
    "projection skipped": "merge",
    "norm changed": "merge",
    "other template": "template",
    "end of turn dropped": "end of turn",
    "stops elsewhere": "end of turn",
    "other rope": "config",
    "scale 0.98": "merge",
    "scale 1.02": "merge",
    "stale adapter": "merge",
    "adapter of another digest": "adapter",
}
"""What is planted, and the check that names it."""


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_candidate_passes(planted: dict[str, Any], name: str) -> None:
    assert planted[f"healthy, {name}"]["verdict"] == "PASS", planted[f"healthy, {name}"]["failed"]


@pytest.mark.parametrize("method", ["LORA bfloat16", "QLORA"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_fails_by_the_check_that_names_it(planted: dict[str, Any], defect: str, method: str) -> None:
    case = planted[f"{defect}, {method}"]
    assert case["verdict"] == "FAIL"
    assert DEFECTS[defect] in case["failed"]


def test_a_qlora_adapter_merged_into_the_original_weights_fails(planted: dict[str, Any]) -> None:
    case = planted["merged into original, QLORA"]
    assert case["verdict"] == "FAIL"
    assert "rounding errors from the merge recomputed" in case["failed"]["merge"]


@pytest.mark.parametrize("method", ["LORA bfloat16", "QLORA"])
def test_first_choices_that_nearly_all_tie_are_no_defect(planted: dict[str, Any], method: str) -> None:
    """Random weights: most first choices are ties, which nothing may fail and nothing be set aside for."""
    assert planted[f"healthy, {method} random"]["verdict"] != "FAIL", planted[f"healthy, {method} random"]["failed"]
