"""Bounds of finite sets: against enumeration, and against simulation where the second part depends on the first."""

import math
import random
from collections.abc import Callable

import pytest

from posology.core.evidence.strata import Part, most_errors, upper_bound


@pytest.mark.parametrize(("size", "sampled", "errors"), [(10, 4, 1), (25, 10, 0), (40, 39, 3), (60, 20, 5), (7, 7, 2)])
def test_the_bound_is_the_largest_number_of_errors_that_is_not_ruled_out(size: int, sampled: int, errors: int) -> None:
    def at_most(total: int) -> float:
        ways = (math.comb(total, x) * math.comb(size - total, sampled - x) for x in range(min(errors, total) + 1))
        return sum(ways) / math.comb(size, sampled)

    possible = [total for total in range(errors, size - (sampled - errors) + 1) if at_most(total) > 0.05]
    assert most_errors(size, sampled, errors, alpha=0.05) == max(possible)


def test_what_was_read_whole_is_known_and_what_was_not_read_is_not() -> None:
    assert most_errors(12, 12, 0, alpha=0.05) == 0
    assert most_errors(12, 12, 3, alpha=0.05) == 3
    assert most_errors(12, 0, 0, alpha=0.05) == 12
    assert upper_bound([], rows=0, confidence=0.95) == 1.0


def test_a_sample_of_a_large_set_proves_what_the_table_says() -> None:
    assert upper_bound([Part(100_000, 149, 0)], rows=100_000, confidence=0.95) == pytest.approx(0.0199, abs=2e-4)
    assert upper_bound([Part(100_000, 500, 4)], rows=100_000, confidence=0.95) == pytest.approx(0.0182, abs=2e-4)


def test_mended_errors_are_gone_and_what_nobody_looked_at_is_not() -> None:
    found = Part(5000, 500, 8)
    mended = Part(5000, 500, 8, mended=8)
    before, after = (upper_bound([part], rows=5000, confidence=0.95) for part in (found, mended))
    assert before - after == pytest.approx(8 / 5000)
    assert after > 0.02  # mending those that were found does not make a bad set good


def a_random_set(rng: random.Random, rows: int, rate: float, sampled: int) -> tuple[list[bool], list[int]]:
    wrong = [rng.random() < rate for _ in range(rows)]
    return wrong, rng.sample(range(rows), sampled)


def only_found(wrong: list[bool], drawn: list[int], rng: random.Random) -> set[int]:
    """Those that were found wrong are changed, and nothing else."""
    return {row for row in drawn if wrong[row]}


def all_of_their_kind(wrong: list[bool], drawn: list[int], rng: random.Random) -> set[int]:
    """What was found, and a fifth of the set that looks like it."""
    return only_found(wrong, drawn, rng) | set(rng.sample(range(len(wrong)), len(wrong) // 5))


def right_ones(wrong: list[bool], drawn: list[int], rng: random.Random) -> set[int]:
    """A malicious choice: what is right is rewritten, and all errors that nobody found stay."""
    return only_found(wrong, drawn, rng) | set([row for row in range(len(wrong)) if not wrong[row]][:40])


@pytest.mark.parametrize("changes", [only_found, all_of_their_kind, right_ones])
@pytest.mark.parametrize(("rate", "broken"), [(0.01, 0.0), (0.03, 0.1), (0.05, 0.3)])
def test_the_bound_of_a_corrected_version_covers_whatever_was_changed(
    changes: Callable[[list[bool], list[int], random.Random], set[int]], rate: float, broken: float
) -> None:
    """`broken` of the changed rows are wrong afterwards; of these a sample is read."""
    rng = random.Random(f"{changes.__name__} {rate}")
    covered, times = 0, 300
    for _ in range(times):
        wrong, drawn = a_random_set(rng, 400, rate, 80)
        changed = changes(wrong, drawn, rng)
        after = {row: rng.random() < broken for row in changed}
        kept_errors = sum(wrong[row] for row in range(400) if row not in changed)
        errors = sum(wrong[row] for row in drawn)
        read = rng.sample(sorted(after), min(30, len(after)))
        parts = [Part(400, 80, errors, mended=sum(wrong[row] for row in drawn if row in changed))]
        parts += [Part(len(after), len(read), sum(after[row] for row in read))] if after else []
        bound = upper_bound(parts, rows=400, confidence=0.95)
        covered += bound >= (kept_errors + sum(after.values())) / 400 - 1e-9
    assert covered / times >= 0.95
