"""The therapeutic window: several doses scored on the same development items, and which of them is recommended.

Benefit is what a dose gains on the suites that measure the task, a side effect what it loses on the others, intensity
how far it moved the model: see `Dose.intensity`. Standard library only; the bounds are those of the gates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from posology.evaluation.domain import Paired
from posology.evaluation.gates.noninferiority import Comparison, compare


@dataclass(frozen=True)
class Rule:
    """What decides; differences of shares, 0 to 1."""

    margin: float = 0.02
    """A dose is as good as the best one when the lower bound of (dose - best) lies above minus this. Which dose is the
    best is not known: the bound must hold against each of the others, the best of them among these. So a dose that is
    worse than the best by more than the margin passes with a chance of at most 1 - confidence, and no correction is
    needed for the number of others (multiple comparisons with the best; Hsu, Annals of Statistics 9 (1981) 1026)."""
    max_drop: float = 0.03
    """A dose whose loss on a side-effect suite is *shown* to exceed this (upper bound below minus it) is out."""
    min_gain: float = 0.0
    """The lower bound of (dose - base) must lie above this: a dose without a shown benefit is none."""
    confidence: float = 0.95
    """One-sided, of every bound."""


@dataclass(frozen=True)
class Dose:
    """One dose's development items; each item appears under every dose, with the base's outcome beside the dose's."""

    number: int
    label: str
    intensity: float | None = None
    """Mean KL(tuned || base) in nats per token, over the base's own greedy answers to the prompts of the side-effect
    development suites, teacher-forced, whole vocabulary (Kullback & Leibler 1951; the penalty of RLHF measures the
    same, Ziegler et al. 2019). The worker measures it in the precision in which the weights are stored."""
    benefit: tuple[Paired, ...] = ()
    side_effects: Mapping[str, tuple[Paired, ...]] = field(default_factory=dict)
    stopped: str = ""
    """Why it has no scores: diverged, dominated, failed."""


@dataclass(frozen=True)
class Estimate:
    """A paired difference with one-sided bounds."""

    n: int
    estimate: float
    low: float
    high: float
    sufficient: int = 0
    """Items that would show it, if the difference seen is the true one; 0 when none would."""


@dataclass(frozen=True)
class Judged:
    """One dose, worked out; what does not apply is None."""

    number: int
    label: str
    intensity: float | None
    accuracy: float = 0.0
    gain: Estimate | None = None
    """Benefit: dose - base."""
    side_effects: Mapping[str, Estimate] = field(default_factory=dict)
    versus_best: Estimate | None = None
    """Dose - the other dose against which its lower bound is lowest; None where there is no other. `sufficient` is
    the n after which it would have been shown to lie above the margin."""
    rival: str = ""
    """Label of that other dose."""
    out: str = ""
    """Why it is out of the window; empty for a dose that may be recommended."""
    dominated: bool = False
    """Another dose in the window has at least its benefit at no more intensity: it is off the Pareto line."""


@dataclass(frozen=True)
class Window:
    """The picture; `best` and `recommended` are numbers of doses, 0 for none."""

    doses: tuple[Judged, ...]
    best: int
    recommended: int
    sufficient: int
    """Development items that would have sufficed, where nothing is recommended; 0 when no number would."""
    sentence: str
    rule: Rule

    def dose(self, number: int) -> Judged:
        return next(dose for dose in self.doses if dose.number == number)


def judge(doses: Sequence[Dose], rule: Rule) -> Window:
    """Work out every dose, find the best, and recommend the lowest intensity that is as good.

    Best: the highest share right among doses that are not out; of equals the lower intensity.
    """
    worked = [_alone(dose, rule) for dose in doses]
    inside = [one for one in worked if not one.out]
    if not inside:
        return Window(tuple(worked), 0, 0, 0, _nothing_left(worked), rule)
    best = min(inside, key=lambda one: (-one.accuracy, one.intensity))
    items = {dose.number: dose.benefit for dose in doses}
    compared = [one if one.out else _beside(one, inside, items, rule) for one in worked]
    compared = [replace(one, dominated=_dominated(one, compared)) for one in compared]
    eligible = [one for one in compared if _as_good(one, rule) and _gains(one, rule)]
    if not eligible:
        return _without(compared, best.number, rule)
    chosen = min(eligible, key=lambda one: (one.intensity, one.number))
    return Window(tuple(compared), best.number, chosen.number, 0, _chosen(chosen, best, rule), rule)


def _without(compared: Sequence[Judged], best: int, rule: Rule) -> Window:
    """No recommendation, and the fewest items after which one would have been made if what was seen is the truth."""
    needs = {}
    for one in compared:
        if not one.out and one.gain is not None:
            parts = [one.gain.sufficient] + ([one.versus_best.sufficient] if one.versus_best else [])
            if all(parts):
                needs[one.number] = max(parts)
    sufficient = min(needs.values(), default=0)
    [top] = [one for one in compared if one.number == best]
    return Window(tuple(compared), best, 0, sufficient, _unshown(top, sufficient, rule), rule)


# --- one dose --------------------------------------------------------------------------------------------


def _alone(dose: Dose, rule: Rule) -> Judged:
    """The dose against its base, and whether it is out."""
    judged = Judged(dose.number, dose.label, dose.intensity)
    if dose.stopped:
        return replace(judged, out=dose.stopped)
    if not dose.benefit or dose.intensity is None:
        return replace(judged, out="it was not scored")
    gain = compare(dose.benefit, confidence=rule.confidence)
    effects = {name: compare(pairs, confidence=rule.confidence) for name, pairs in dose.side_effects.items()}
    lost = [
        f"{name} is shown to lose more than {rule.max_drop:.1%} (the loss is at least {-effect.high:.1%})"
        for name, effect in effects.items()
        if effect.high < -rule.max_drop
    ]
    return replace(
        judged,
        accuracy=gain.tuned,
        gain=_estimate(gain, rule.min_gain, rule),
        side_effects={name: _estimate(effect, -rule.max_drop, rule) for name, effect in effects.items()},
        out="; ".join(lost),
    )


def _beside(one: Judged, inside: Sequence[Judged], items: Mapping[int, Sequence[Paired]], rule: Rule) -> Judged:
    """The dose with its difference from each of the others, over the same items; the least favourable one is kept."""
    kept: tuple[Comparison, str] | None = None
    for other in inside:
        if other.number != one.number:
            reference = {pair.id: pair.tuned for pair in items[other.number]}
            pairs = [Paired(p.id, p.cluster, reference[p.id], p.tuned) for p in items[one.number]]
            comparison = compare(pairs, confidence=rule.confidence)
            if kept is None or comparison.low < kept[0].low:
                kept = comparison, other.label
    if kept is None:
        return one
    return replace(one, versus_best=_estimate(kept[0], -rule.margin, rule), rival=kept[1])


def _estimate(comparison: Comparison, limit: float, rule: Rule) -> Estimate:
    sufficient = comparison.sufficient(limit, confidence=rule.confidence)
    return Estimate(comparison.n, comparison.estimate, comparison.low, comparison.high, sufficient)


def _as_good(one: Judged, rule: Rule) -> bool:
    return not one.out and (one.versus_best is None or one.versus_best.low > -rule.margin)


def _gains(one: Judged, rule: Rule) -> bool:
    return one.gain is not None and one.gain.low > rule.min_gain


def _dominated(one: Judged, others: Sequence[Judged]) -> bool:
    if one.intensity is None or one.out:
        return False
    return any(
        other.intensity is not None
        and (other.accuracy, -other.intensity) != (one.accuracy, -one.intensity)
        and other.accuracy >= one.accuracy
        and other.intensity <= one.intensity
        for other in others
        if not other.out
    )


# --- sentences -------------------------------------------------------------------------------------------


def _chosen(chosen: Judged, best: Judged, rule: Rule) -> str:
    assert chosen.gain is not None
    assert chosen.intensity is not None
    gain = f"gains {_points(chosen.gain.estimate)} (at least {_points(chosen.gain.low)}, n {chosen.gain.n})"
    if chosen.versus_best is None:
        why = "the only dose in the window"
    else:
        lead = "the best dose, and" if chosen.number == best.number else "the gentlest that is"
        beside = f"{_points(chosen.versus_best.estimate)}, at least {_points(chosen.versus_best.low)}"
        why = (
            f"{lead} shown to be within {rule.margin * 100:g} points of every other ({beside}, against {chosen.rival})"
        )
    return f"{chosen.label} is recommended: it {gain} at {chosen.intensity:.3g} nats/token and is {why}"


def _unshown(best: Judged, sufficient: int, rule: Rule) -> str:
    assert best.gain is not None
    wanted = f"about {sufficient:,} development items would have sufficed" if sufficient else "no number of items would"
    if not _gains(best, rule):
        missing = (
            f"not even of the best one, {best.label}, is a gain of more than {rule.min_gain * 100:g} points shown "
            f"({_points(best.gain.estimate)}, at least {_points(best.gain.low)}, n {best.gain.n})"
        )
    else:
        beside = best.versus_best
        shown = f"{_points(beside.estimate)}, at least {_points(beside.low)}, n {beside.n}" if beside else "alone"
        missing = (
            f"{best.label} has the highest benefit, but none is shown to be within {rule.margin * 100:g} points of "
            f"every other ({best.label} against {best.rival}: {shown})"
        )
    return f"no dose is recommended: {missing}; {wanted}"


def _nothing_left(doses: Sequence[Judged]) -> str:
    reasons = "; ".join(f"{one.label}: {one.out}" for one in doses)
    return f"no dose is recommended, since each is out. {reasons}"


def _points(value: float) -> str:
    return f"{value * 100:+.1f} points"
