"""Short rows joined into long ones: how many there will be, without the trainer's libraries."""

import math
from bisect import bisect_left, insort
from collections.abc import Sequence

from posology.training.domain import Optimisation

AT_ONCE = 1000
"""Rows that TRL joins at a time: `Dataset.map` hands over so many."""


def packs(lengths: Sequence[int], size: int) -> int:
    """Rows of up to `size` tokens that TRL's best fit decreasing makes of rows of these lengths."""
    parts = (lengths[start : start + AT_ONCE] for start in range(0, len(lengths), AT_ONCE))
    return sum(_best_fit_decreasing(part, size) for part in parts)


def expected_packs(rows: int, mean: float, size: int) -> int:
    """The same where only the mean length is known; the fewest that there can be."""
    return math.ceil(rows * min(mean, size) / size)


def micro(optimisation: Optimisation) -> int:
    """Rows of one forward pass as asked for, 0 = by memory. Joined rows go one at a time: several at once would be one
    sequence whose attention grows with the square of their number."""
    return optimisation.micro_batch_size or (1 if optimisation.packing else 0)


def _best_fit_decreasing(lengths: Sequence[int], size: int) -> int:
    rooms: list[int] = []  # sorted; free tokens of each joined row
    count = 0
    for length in sorted((min(length, size) for length in lengths), reverse=True):
        tightest = bisect_left(rooms, length)
        if tightest == len(rooms):
            count += 1
            room = size
        else:
            room = rooms.pop(tightest)
        insort(rooms, room - length)
    return count
