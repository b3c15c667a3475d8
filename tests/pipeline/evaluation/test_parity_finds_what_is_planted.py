"""Healthy candidates pass parity and every planted defect fails it, on tiny models, in every precision of training."""

from typing import Any

import pytest

pytestmark = pytest.mark.slow

HEALTHY = ("LORA float32", "LORA bfloat16", "QLORA", "QLORA random")
"""The last has random weights: many of its first choices nearly tie, which is no defect."""
DEFECTS = {
    "layer skipped, LORA bfloat16": "merge",
    "projection skipped, LORA bfloat16": "merge",
    "scale 1.02, LORA bfloat16": "merge",
    "stale adapter, LORA bfloat16": "merge",
    "layer skipped, QLORA": "merge",
    "norm changed, QLORA": "merge",
    "scale 0.98, QLORA": "merge",
    "stale adapter, QLORA": "merge",
    "merged into original, QLORA": "merge",
    "adapter of another digest, QLORA": "adapter",
    "other template, QLORA": "template",
    "end of turn dropped, QLORA": "end of turn",
    "stops elsewhere, QLORA": "end of turn",
    "other rope, QLORA": "config",
}
"""What is planted, and the check that names it."""


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_candidate_passes(planted: dict[str, Any], name: str) -> None:
    assert planted[f"healthy, {name}"]["verdict"] == "PASS", planted[f"healthy, {name}"]["failed"]


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_planted_defect_fails_by_the_check_that_names_it(planted: dict[str, Any], defect: str) -> None:
    assert planted[defect]["verdict"] == "FAIL"
    assert DEFECTS[defect] in planted[defect]["failed"]


def test_a_qlora_merge_into_the_original_weights_is_called_what_it_is(planted: dict[str, Any]) -> None:
    assert "rounding errors from the merge recomputed" in planted["merged into original, QLORA"]["failed"]["merge"]
