"""What a policy's gates can show with the items that it names, said before anything is spent.

Nothing here refuses: a gate that cannot pass without a gain may pass with one. Chances are those of evidence.md: the
candidate is as good as its base, and one item in ten comes out otherwise.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

from scipy.stats import norm

from posology.evaluation.domain import Gate, Policy, SuiteKind
from posology.evaluation.questions import Item, Prompt
from posology.evaluation.refusal_judging import SAMPLE
from posology.evaluation.statistics.paired import tango
from posology.evaluation.statistics.power import (
    POWER,
    proportion_power,
    successes_needed,
    sufficient_for_difference,
    sufficient_for_proportion,
)

CHANGING = 0.1
"""Share of items that come out otherwise after training, where nothing was lost."""
PARITY_POSITIONS = 16
"""Positions of a prompt that parity compares at least."""
LIKELY = 0.5
"""A chance below this is said."""

Items = Mapping[str, Sequence[Item]]


def warnings(policy: Policy, items: Items) -> list[str]:
    """One sentence for each gate that cannot pass, or passes less than half of the time where nothing is wrong."""
    return [*(text for gate in policy.gates for text in _gate(policy, gate, items)), *_parity(policy, items)]


def _gate(policy: Policy, gate: Gate, items: Items) -> Iterator[str]:
    confidence = policy.confidence
    for about, count in _sides(policy, gate, items[gate.suite]):
        if gate.lower_bound_at_least is not None:
            yield from _bound(about, count, gate.lower_bound_at_least, gate.at_least, confidence)
        if gate.max_drop is not None and gate.judged:
            yield from _by_a_judge(about, count, gate.max_drop, gate.sample or SAMPLE, confidence)
        elif gate.max_drop is not None:
            yield from _no_loss(about, count, "maxDrop", gate.max_drop, confidence)
        if gate.max_flip_rate_increase is not None:
            yield from _no_loss(about, count, "maxFlipRateIncrease", gate.max_flip_rate_increase, confidence)
        rival = gate.min_gain_over_few_shot
        if rival is not None and tango(count, 0, count, confidence=confidence)[0] <= rival:
            yield f"{about} cannot pass: its {count} items show no gain above minGainOverFewShot {rival:.1%}; add items"
        if gate.min_gain is not None and (best := tango(count, 0, count, confidence=confidence)[0]) <= gate.min_gain:
            yield (
                f"{about} cannot pass: if the candidate gained on all {count} items, that would show a gain of "
                f"{best:.1%}, and minGain asks for more than {gate.min_gain:.1%}; add items"
            )


def _sides(policy: Policy, gate: Gate, items: Sequence[Item]) -> Iterator[tuple[str, int]]:
    """What is decided on its own, with its number of independent items: prompts that cluster count once."""
    if policy.suite(gate.suite).kind is SuiteKind.REFUSAL:
        for unsafe, side in ((True, "unsafe"), (False, "safe")):
            yield f"{gate.suite} ({side} prompts)", _clusters([i for i in items if _unsafe(i) == unsafe])
    else:
        yield gate.suite, _clusters(items)


def _unsafe(item: Item) -> bool:
    return isinstance(item, Prompt) and item.unsafe


def _clusters(items: Sequence[Item]) -> int:
    return len({item.cluster or item.id for item in items})


def _bound(about: str, n: int, floor: float, at_least: float | None, confidence: float) -> Iterator[str]:
    if successes_needed(n, floor, confidence=confidence) > n:
        needed = math.ceil(math.log(1 - confidence) / math.log(floor)) if floor < 1 else 0
        enough = f"{needed:,} right ones of as many would" if needed else "no number of items does"
        yield (f"{about} cannot pass: {n} right answers of {n} do not prove {floor:.1%} (lowerBoundAtLeast); {enough}")
    elif at_least is not None and at_least > floor:
        chance = proportion_power(n, at_least, floor, confidence=confidence)
        if chance < LIKELY:
            likely = sufficient_for_proportion(at_least, floor, confidence=confidence)
            yield (
                f"{about}: a candidate that is right {at_least:.1%} of the time (atLeast) proves {floor:.1%} "
                f"(lowerBoundAtLeast) on {n} items with a chance of {chance:.0%}; {likely:,} items prove it with "
                f"{POWER:.0%}"
            )


def _no_loss(about: str, n: int, demand: str, margin: float, confidence: float) -> Iterator[str]:
    best = -tango(0, 0, n, confidence=confidence)[0] if n else 1.0
    enough = sufficient_for_difference(0.0, -margin, CHANGING, confidence=confidence)
    chance = _chance(n, margin, confidence)
    if best >= margin:
        yield (
            f"{about} cannot pass unless the candidate gains: {n} items on which nothing changes show a loss below "
            f"{best:.1%}, and {demand} is {margin:.1%}; {_fewest(margin, confidence):,} items could show it, and "
            f"{enough:,} do with {POWER:.0%} where one in ten changes"
        )
    elif chance < LIKELY:
        yield (
            f"{about}: {n} items show {demand} {margin:.1%} with a chance of {chance:.0%} where nothing is lost and "
            f"one item in ten changes; {enough:,} items show it with {POWER:.0%}"
        )


def _by_a_judge(about: str, n: int, margin: float, labels: int, confidence: float) -> Iterator[str]:
    """What people's labels leave open, if the judge errs on none of them and no answer changes."""
    if labels >= n:
        yield from _no_loss(about, n, "maxDrop", margin, confidence)
        return
    on_prompts, on_labels = (-tango(0, 0, count, confidence=confidence)[0] for count in (n, labels))
    best = math.hypot(on_prompts, on_labels, on_labels)
    if best < margin:
        return
    left = margin**2 - on_prompts**2
    enough = _fewest(math.sqrt(left / 2), confidence) if left > 0 else 0
    more = f"{min(enough, n):,} labels of each (sample) could" if enough else f"{n} prompts can't; name more"
    yield (
        f"{about} cannot pass unless the candidate gains: people label {labels} answers of each model, and if the "
        f"judge is right on all of them, a loss below {best:.1%} is shown, and maxDrop is {margin:.1%}; {more}"
    )


def _chance(n: int, margin: float, confidence: float) -> float:
    return float(norm.cdf(margin * math.sqrt(n / CHANGING) - norm.ppf(confidence)))


def _fewest(margin: float, confidence: float) -> int:
    """Items without any change whose bound lies within the margin: Tango's is z**2 / (n + z**2)."""
    z = float(norm.ppf(confidence))
    return math.floor(z * z * (1 - margin) / margin) + 1


def _parity(policy: Policy, items: Items) -> Iterator[str]:
    limits = policy.parity
    prompts = min(limits.prompts, sum(map(len, items.values())))
    z = float(norm.ppf(policy.confidence))
    best = z * z / (prompts * PARITY_POSITIONS + z * z)
    if prompts < 2 or best >= limits.max_excess:
        enough = max(2, math.ceil(_fewest(limits.max_excess, policy.confidence) / PARITY_POSITIONS))
        yield (
            f"parity may not pass: {prompts} prompts without any disagreement show an excess below {best:.1%}, and "
            f"maxExcess is {limits.max_excess:.1%}; name suites with {enough} items or more, and as many parity.prompts"
        )
