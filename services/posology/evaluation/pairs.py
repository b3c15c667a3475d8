"""The same items under both models, and what makes such a set unusable."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from posology.evaluation.domain import BASE, TUNED, Answer, Choice, Paired

T = TypeVar("T", Choice, Answer)


def pair(by_model: Mapping[str, Sequence[T]], succeeds: Callable[[T], bool]) -> tuple[Paired, ...]:
    """Pairs in the order of the base's items; call `problem` first. `succeeds` is what counts as 1."""
    tuned = {item.id: item for item in by_model[TUNED]}
    return tuple(
        Paired(item.id, item.cluster or item.id, int(succeeds(item)), int(succeeds(tuned[item.id])))
        for item in by_model[BASE]
    )


def problem(by_model: Mapping[str, Sequence[T]]) -> str:
    """Why these items prove nothing (missing, doubled, unequal, not numbers, all tied); empty if they are sound."""
    if not by_model.get(BASE) or not by_model.get(TUNED):
        return "there are no items of " + " and ".join(m for m in (BASE, TUNED) if not by_model.get(m))
    ids = {model: Counter(item.id for item in items) for model, items in by_model.items()}
    if doubled := [item for counts in ids.values() for item, count in counts.items() if count > 1]:
        return f"{len(doubled)} items occur more than once, for example {doubled[0]}"
    if ids[BASE] != ids[TUNED]:
        only = sorted(set(ids[BASE]) ^ set(ids[TUNED]))
        return f"{len(only)} items were scored for one model only, for example {only[0]}"
    return _unsound(by_model)


def _unsound(by_model: Mapping[str, Iterable[T]]) -> str:
    for model, items in by_model.items():
        bad = [item.id for item in items if isinstance(item, Choice) and not item.valid]
        if bad:
            return f"{len(bad)} items of {model} have scores that are not numbers or all tie, for example {bad[0]}"
    return ""
