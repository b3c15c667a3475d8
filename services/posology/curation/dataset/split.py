"""Split by drug, never by row: an original label and its repackaging are near copies."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from posology.core.errors import InvalidInput, Violation
from posology.curation.domain import Pair


@dataclass(frozen=True)
class Split:
    """The two sides; families of drugs in one are absent from the other."""

    train: tuple[Pair, ...]
    validation: tuple[Pair, ...]


def split(pairs: Sequence[Pair], *, validation: int, seed: int) -> Split:
    """Hold out whole families whose pairs add up to `validation`, or as near to it as whole families come.

    Pairs without a drug belong to the family of their source file. Where all lie in one file and none names a drug, as
    people write them, what is asked is the family: one question's answers stay on one side.
    """
    family = _family_of_each(pairs)
    if validation == 0:
        return Split(tuple(pairs), ())
    sizes = Counter(family(pair) for pair in pairs)
    if len(sizes) < 2:
        reason = f"{validation} pairs of other drugs wanted, but there is one drug only; set it to 0"
        raise InvalidInput.of([Violation("spec.curation.validation", reason)])
    held_out = _nearest(_shuffled(sizes, seed), sizes, validation)
    return Split(
        tuple(p for p in pairs if family(p) not in held_out),
        tuple(p for p in pairs if family(p) in held_out),
    )


def splits_by_question(pairs: Iterable[Pair]) -> bool:
    """Whether there is nothing better to split by than the question: one file, and no drug named in it."""
    listed = list(pairs)
    return len({pair.source for pair in listed}) == 1 and not any(pair.family or pair.drug for pair in listed)


def _family_of_each(pairs: Sequence[Pair]) -> Callable[[Pair], str]:
    return (lambda pair: " ".join(pair.question.casefold().split())) if splits_by_question(pairs) else family


def family(pair: Pair) -> str:
    """What a pair is split by."""
    return pair.family or pair.drug or f"source:{pair.source}"


def _shuffled(sizes: Iterable[str], seed: int) -> list[str]:
    return sorted(sizes, key=lambda name: hashlib.sha256(f"{seed}\x1f{name}".encode()).digest())


def _nearest(order: list[str], sizes: Counter[str], wanted: int) -> frozenset[str]:
    """Subset-sum over families, each reachable total remembered with the family that first reached it."""
    reached: dict[int, tuple[int, str]] = {0: (0, "")}
    total = sum(sizes.values())
    limit = min(total - 1, 2 * wanted)
    for name in order:
        for have in sorted(reached, reverse=True):
            now = have + sizes[name]
            if now <= limit and now not in reached:
                reached[now] = (have, name)
        if wanted in reached:
            break
    best = min(reached, key=lambda total: (abs(total - wanted), total)) if len(reached) > 1 else 0
    if best == 0:
        return frozenset({min(order, key=lambda name: sizes[name])})
    chosen: list[str] = []
    while best:
        best, name = reached[best]
        chosen.append(name)
    return frozenset(chosen)
