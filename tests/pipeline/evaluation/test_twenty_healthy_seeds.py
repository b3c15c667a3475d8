"""False alarms of parity over twenty healthy seeds of either method, and what so few can show."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from posology.evaluation.statistics.binomial import upper_bound

pytestmark = [pytest.mark.qualify, pytest.mark.timeout(3600)]

SEEDS = 20


@pytest.mark.parametrize("method", ["LORA", "QLORA"])
def test_no_healthy_seed_is_refused(method: str, seeds: dict[str, str]) -> None:
    """None in twenty shows a rate of false alarms below 14% (one-sided 95%), not below five: twenty prove no more."""
    alarms = [name for name, verdict in seeds.items() if name.startswith(f"{method} ") and verdict != "PASS"]
    shown = upper_bound(len(alarms), SEEDS, confidence=0.95)
    assert not alarms, f"{len(alarms)} of {SEEDS} healthy seeds were refused, so the rate may be up to {shown:.0%}"
    assert shown == pytest.approx(0.139, abs=0.001)


@pytest.fixture(scope="module")
def seeds(run_script: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The verdict of each seed."""
    folder: Path = tmp_path_factory.mktemp("seeds")
    lines = run_script("parity_checks.py", folder, SEEDS).splitlines()
    cases = [json.loads(line) for line in lines if line.startswith("{")]
    return {case["case"]: case["verdict"] for case in cases}
