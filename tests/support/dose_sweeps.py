"""Sweeps as they might come out, for the simulation of the window's rule.

A dose's items share what is hard about them: with chance `agree` an item's difficulty is the item's own, the same
under every dose, else it is drawn anew; so about 2 (1 - agree) p (1 - p) of the items differ between equal doses. With
clusters, half of the items take their cluster's difficulty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posology.evaluation.domain import Paired
from posology.evaluation.window import Dose, Rule, Window, judge

BASE = 0.40
"""Share right of the model before tuning."""
SCENES: dict[str, tuple[float, ...]] = {
    "each dose better than the one before": (0.60, 0.63, 0.66, 0.69),
    "saturating": (0.55, 0.66, 0.685, 0.69),
    "plateau: all equally good": (0.69, 0.69, 0.69, 0.69),
    "all but one just too weak": (0.669, 0.669, 0.669, 0.69),
    "no dose does anything": (0.40, 0.40, 0.40, 0.40),
}
"""True shares right, by rising intensity."""


@dataclass(frozen=True)
class Rates:
    """Shares of repeats, 0 to 1."""

    worse: float
    """Recommended a dose whose true share right is below the best one's by more than the margin."""
    nothing: float
    useless: float
    """Recommended a dose that is truly no better than the base."""


def once(random: np.random.Generator, truths: Sequence[float], n: int, *, agree: float, cluster: int = 1) -> Window:
    """One sweep over doses with these true shares right."""
    own = random.random(n)
    shared = np.repeat(random.random(-(-n // cluster)), cluster)[:n]
    difficulty = np.where(random.random(n) < 0.5, shared, own) if cluster > 1 else own

    def outcomes(share: float) -> Any:
        drawn = np.where(random.random(n) < agree, difficulty, random.random(n))
        return (drawn < share).astype(int).tolist()

    base = outcomes(BASE)
    names = [(str(i), str(i // cluster)) for i in range(n)]
    doses = []
    for number, share in enumerate(truths, 1):
        pairs = tuple(
            Paired(item, group, before, after)
            for (item, group), before, after in zip(names, base, outcomes(share), strict=True)
        )
        doses.append(Dose(number, f"dose {number}", 0.01 * number, pairs))
    return judge(doses, Rule())


def rates(truths: Sequence[float], n: int, *, agree: float, cluster: int = 1, repeats: int = 400) -> Rates:
    """What the rule does over many sweeps."""
    random = np.random.default_rng(n + cluster)
    worse = nothing = useless = 0
    for _ in range(repeats):
        chosen = once(random, truths, n, agree=agree, cluster=cluster).recommended
        nothing += not chosen
        worse += bool(chosen) and max(truths) - truths[chosen - 1] > Rule().margin + 1e-9
        useless += bool(chosen) and truths[chosen - 1] <= BASE
    return Rates(worse / repeats, nothing / repeats, useless / repeats)
