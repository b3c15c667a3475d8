"""A killed or stopped attempt goes on exactly where it was."""

import os

import pytest
from support.training_bench import Bench, Outcome

pytestmark = pytest.mark.slow
WEIGHTS = "adapter_model.safetensors"


def curve(outcome: Outcome) -> dict[int, float]:
    """The last loss seen of each step: steps after the last checkpoint are done twice."""
    return dict(outcome.metrics("loss"))


def test_a_killed_run_resumes_with_the_same_losses_and_the_same_adapter(
    bench: Bench, trained: dict[str, Outcome]
) -> None:
    case = bench.sft("killed")
    assert bench.run(case, KILL_AT="8")["killed"].code == -9
    resumed = bench.run(case)["killed"]
    assert {"log": "resuming", "step": 6} in resumed.lines
    assert curve(resumed) == curve(trained["lora"])
    assert (resumed.output / WEIGHTS).read_bytes() == (trained["lora"].output / WEIGHTS).read_bytes()
    assert resumed.record() == trained["lora"].record()


def test_a_stopped_run_saves_its_step_and_resumes_with_the_same_losses(
    bench: Bench, trained: dict[str, Outcome]
) -> None:
    case = bench.sft("stopped")
    stopped = bench.run(case, STOP_AT="4")["stopped"]
    assert stopped.code == 143
    assert stopped.lines[-1] == {"stopped": 5}
    resumed = bench.run(case)["stopped"]
    assert {"log": "resuming", "step": 5} in resumed.lines
    assert curve(resumed) == curve(trained["lora"])
    assert (resumed.output / WEIGHTS).read_bytes() == (trained["lora"].output / WEIGHTS).read_bytes()


def test_damaged_checkpoints_are_passed_over(bench: Bench, trained: dict[str, Outcome]) -> None:
    case = bench.sft("damaged")
    bench.run(case, KILL_AT="10")
    work = bench.root / "damaged/work"
    os.remove(work / "checkpoint-9/rng_state.pth")
    data = bytearray((work / "checkpoint-6/optimizer.pt").read_bytes())
    data[len(data) // 2] ^= 1
    (work / "checkpoint-6/optimizer.pt").write_bytes(data)
    resumed = bench.run(case)["damaged"]
    said = " ".join(str(line.get("log", "")) for line in resumed.lines)
    assert "checkpoint-9: rng_state.pth is missing" in said
    assert "checkpoint-6: optimizer.pt has changed" in said
    assert {"log": "resuming", "step": 3} in resumed.lines
    assert curve(resumed) == curve(trained["lora"])
