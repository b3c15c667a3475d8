"""One finished run on a whole installation, shared by the tests that look at it from every side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from pipeline.whole.installation import Whole, prepare

from posology.v1alpha1.orchestrator_pb2 import FineTuneRun


@dataclass(frozen=True)
class Finished:
    """An installation whose run `micro` ended."""

    whole: Whole
    run: FineTuneRun


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    whole = Whole(tmp_path_factory.mktemp("whole"))
    prepare(whole.root)
    whole.up()
    try:
        whole.submit("micro")
        yield Finished(whole, whole.complete("micro"))
    finally:
        whole.posology("down")
