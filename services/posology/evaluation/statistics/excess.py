"""Disagreement beyond a control's, by prompt: the bound behind parity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.stats import norm
from scipy.stats import t as student

from posology.evaluation.domain import PromptParity
from posology.evaluation.statistics.paired import tango
from posology.evaluation.statistics.power import POWER


@dataclass(frozen=True)
class Excess:
    """(candidate's - control's disagreements) / positions, with one-sided bounds."""

    prompts: int
    positions: int
    candidate: float
    control: float
    estimate: float
    low: float
    high: float
    error: float
    """Standard error, clustered by prompt."""


def excess(prompts: Sequence[PromptParity], *, confidence: float) -> Excess:
    """The ratio estimator over prompts as clusters: residuals d - n * estimate, CR1, t with G-1 degrees of freedom.

    Cochran, Sampling Techniques (1977) 6.3; Liang & Zeger, Biometrika 73 (1986) 13. The sandwich claims certainty
    where nothing differs, so at each end the wider of it and Tango's score bound over positions counts. One prompt
    shows nothing: the bounds are -1 and 1.
    """
    positions = sum(p.positions for p in prompts)
    candidate, control = sum(p.different for p in prompts), sum(p.control_different for p in prompts)
    estimate = (candidate - control) / positions
    low, high = tango(candidate, control, positions, confidence=confidence)
    g = len(prompts)
    if g < 2:
        low, high, error = -1.0, 1.0, math.inf
    else:
        residuals = [p.different - p.control_different - estimate * p.positions for p in prompts]
        error = math.sqrt(g / (g - 1) * sum(r * r for r in residuals)) / positions
        reach = float(student.ppf(confidence, g - 1)) * error
        low, high = min(low, estimate - reach), max(high, estimate + reach)
    return Excess(g, positions, candidate / positions, control / positions, estimate, low, high, error)


def sufficient_prompts(measured: Excess, limit: float, *, confidence: float) -> int:
    """Prompts after which an excess like this one is shown to lie under `limit` with 80% power; 0 if no number does."""
    distance = limit - measured.estimate
    if distance <= 0 or not math.isfinite(measured.error):
        return 0
    reach = float(norm.ppf(confidence) + norm.ppf(POWER))
    return max(2, math.ceil(measured.prompts * (reach * measured.error / distance) ** 2))
