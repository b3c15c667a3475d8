"""What is silently wrong elsewhere: gradients after an evaluation, and the weights that an adapter belongs to."""

import json

import pytest
from support.training_bench import Bench, Outcome, python

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checks(bench: Bench, trained: dict[str, Outcome]) -> dict[str, float]:
    done = python("qlora_checks.py", str(bench.root / "model-base"), str(trained["qlora"].output))
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_an_evaluation_does_not_cut_the_gradients_of_later_steps(checks: dict[str, float]) -> None:
    assert checks["gradient_error"] < 1e-3


def test_only_the_dequantized_weights_give_the_trained_model(checks: dict[str, float]) -> None:
    assert checks["kl_dequantized"] < checks["tolerance"] < checks["kl_original"]
    assert checks["kl_original"] > 10 * checks["kl_dequantized"]
