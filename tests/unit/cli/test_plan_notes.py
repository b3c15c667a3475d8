"""A sweep's plan says what it says of all doses once."""

from posology.cli.plan_notes import once
from posology.cli.show import progress
from posology.v1alpha1.job_pb2 import Progress
from posology.v1alpha1.orchestrator_pb2 import Stage


def test_a_note_that_differs_in_what_a_dose_has_names_all_of_them_once() -> None:
    notes = [
        f"sft.learningRate: Two rules disagree. You have {rate}." for rate in ("5e-05", "0.0002", "0.0002", "0.01")
    ]
    assert once(notes) == ["sft.learningRate: Two rules disagree. Doses have 5e-05, 0.0002, 0.01."]


def test_other_notes_stay_as_they_are_and_in_order() -> None:
    notes = ["rows: 307 training pairs.", "sft.rank: Rank by task. You have 8.", "rows: 307 training pairs."]
    assert once(notes) == ["rows: 307 training pairs.", "sft.rank: Rank by task. You have 8."]


def test_a_moment_that_is_left_is_not_half_a_sentence() -> None:
    stage = Stage(state=Stage.RUNNING, progress=Progress(done=31, total=32, eta_seconds=0.03))
    assert progress(stage) == "31/32"
