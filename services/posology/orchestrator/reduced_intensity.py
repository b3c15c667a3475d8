"""A lower dose after a regression without a sweep: half the rate and half the passes, per reduction."""

from collections.abc import Mapping
from typing import Any

_HALVED = ("learningRate", "epochs")


def reduced(config: Mapping[str, Any], reductions: int) -> dict[str, Any]:
    """The SFT or DPO configuration (JSON mapping) after so many reductions; steps given outright are halved too."""
    factor = 0.5**reductions
    halved = {key: config[key] * factor for key in _HALVED if key in config}
    steps = config.get("maxSteps", 0)
    return {**config, **halved, **({"maxSteps": max(1, int(steps * factor))} if steps else {})}
