"""A stratified sample from a frozen frame: proportional to strata, drawn by a stored seed."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from posology.curation.domain import draw


@dataclass(frozen=True)
class Unit:
    """One thing that can be drawn, and the stratum that it belongs to."""

    id: str
    stratum: tuple[str, str]  # section code, drug


def frame_digest(ids: Iterable[str]) -> str:
    """sha256 (hex) over the ids of the frame in order: it shows later that nothing was swapped."""
    return sha256("\n".join(sorted(ids)).encode()).hexdigest()


def sample(units: Sequence[Unit], *, size: int, seed: int) -> list[str]:
    """Ids of `size` units in an order drawn by the seed; every unit has the chance size / len(units).

    Systematic sampling down a list that is sorted by stratum, each stratum shuffled: strata get their share to
    within one, also when there are more strata than items to draw.
    """
    if size >= len(units):
        chosen = [unit.id for unit in units]
    else:
        listed = _by_stratum(units, seed)
        step = len(listed) / size
        start = int.from_bytes(draw(seed, "start")[:8], "big") / 2**64 * step
        chosen = [listed[min(len(listed) - 1, int(start + step * number))].id for number in range(size)]
    return sorted(chosen, key=lambda id: draw(seed, "order", id))


def _by_stratum(units: Sequence[Unit], seed: int) -> list[Unit]:
    strata: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    for unit in units:
        strata[unit.stratum].append(unit)
    return [
        unit
        for stratum in sorted(strata)
        for unit in sorted(strata[stratum], key=lambda unit: draw(seed, "unit", unit.id))
    ]
