"""The exit code of a worker of several processes, and the word that one of them leaves."""

from pathlib import Path

import pytest

from posology.core.errors import Violation
from posology.core.jobs import environment
from posology.core.jobs.domain import Failure
from posology.core.jobs.worker import ranks


def ended(folder: Path, codes: dict[int, int], *, told: bool = False) -> int:
    for rank, code in codes.items():
        (folder / str(rank)).write_text(str(code))
    return ranks._code(1, folder, stopped=told)


@pytest.mark.parametrize(
    ("codes", "told", "code"),
    [
        ({0: 1, 1: 1}, False, 1),  # the first one reported a failure
        ({0: 143, 1: 143}, True, 143),  # all of them stopped
        ({0: 76, 1: 1}, False, 1),  # the first one was left alone by one that failed
        ({0: 76}, False, 76),  # ... by one that was killed
        ({}, True, 143),  # told to stop before any of them could listen
        ({}, False, 76),  # all of them were killed
        ({0: 3, 1: 76}, False, 3),  # another attempt took over
    ],
)
def test_the_process_that_knows_most_decides(tmp_path: Path, codes: dict[int, int], told: bool, code: int) -> None:
    assert ended(tmp_path, codes, told=told) == code


def test_a_failure_is_read_as_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ranks._FOLDER, str(tmp_path))
    monkeypatch.setattr(ranks, "TERMINATION_LOG", tmp_path / "none")
    failure = Failure("InvalidInput", "the loss is not finite", (Violation("a", "b"),))
    ranks.note_failure(failure)
    assert ranks.told_by_others() == failure


def test_any_other_last_word_of_a_pod_is_no_failure() -> None:
    assert environment.failure_from_text("Traceback ...") is None
    assert environment.failure_from_text("[]") is None
