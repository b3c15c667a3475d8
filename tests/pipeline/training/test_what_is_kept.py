"""Which checkpoint is published, and a hold-out of nothing."""

import pytest
from support.training_bench import Bench

pytestmark = pytest.mark.slow


def test_the_best_checkpoint_is_published_and_a_hold_out_of_zero_holds_out_none(bench: Bench) -> None:
    outcomes = bench.run(
        bench.sft("overfitted", epochs=8, learningRate=0.05, schedule="CONSTANT", earlyStopping=None),
        bench.dpo("none-held-out", sft="overfitted", heldOut=0),
    )
    sft = outcomes["overfitted"]
    losses = [loss for step, loss in sft.metrics("eval_loss") if step > 0]
    assert sft.result["summary"]["eval_loss"] == pytest.approx(min(losses), rel=1e-3)
    dpo = outcomes["none-held-out"]
    assert dpo.code == 0, dpo.lines[-1]
    assert "preference_accuracy" not in dpo.result["summary"]
    assert dpo.result["summary"]["steps"] == 12
