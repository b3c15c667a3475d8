"""The bound against the published table and against simulation; sampling; agreement; rules."""

import csv
import io
import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from posology.curation.review import domain, spreadsheet, subject
from posology.curation.review.agreement import agreement
from posology.curation.review.bound import allowed_errors, chance_to_pass, sufficient_sample, upper_bound
from posology.curation.review.domain import Judgement, Policy, Rating
from posology.curation.review.sampling import Unit, sample

LIMIT = {"limit": 0.02, "confidence": 0.95}


@pytest.mark.parametrize(("items", "errors"), [(59, -1), (149, 0), (200, 0), (300, 1), (400, 3), (500, 4), (1000, 12)])
def test_allowed_errors_are_those_of_the_table(items: int, errors: int) -> None:
    assert allowed_errors(items, **LIMIT) == errors


@pytest.mark.parametrize(("limit", "items"), [(0.05, 59), (0.02, 149), (0.01, 299), (0.005, 598)])
def test_the_smallest_samples_without_an_error_are_those_of_the_table(limit: float, items: int) -> None:
    assert sufficient_sample(0, limit=limit, confidence=0.95) == items


def test_one_error_in_two_hundred_is_not_below_two_percent() -> None:
    assert upper_bound(1, 200, confidence=0.95) == pytest.approx(0.0235, abs=0.0001)


def test_the_bound_covers_and_a_set_at_the_limit_passes_at_most_one_time_in_twenty() -> None:
    for rate in (0.01, 0.02, 0.05, 0.2):
        for items in (59, 149, 200, 500):
            assert chance_to_pass(rate, items, limit=rate, confidence=0.95) <= 0.05 + 1e-9
    rng = random.Random(0)
    covered = sum(
        upper_bound(sum(rng.random() < 0.03 for _ in range(200)), 200, confidence=0.95) >= 0.03 for _ in range(2000)
    )
    assert covered / 2000 >= 0.94


def test_a_better_set_passes_more_often_with_more_items() -> None:
    chances = [chance_to_pass(0.01, items, **LIMIT) for items in (200, 500, 1000)]
    assert chances[0] < 0.15 < chances[1] < chances[2]


def test_a_sample_is_proportional_to_strata_and_drawn_by_the_seed() -> None:
    units = [Unit(f"u{n}", ("34068-7" if n % 4 else "34070-3", f"drug{n % 10}")) for n in range(1000)]
    drawn = sample(units, size=100, seed=1)
    codes = Counter(unit.stratum[0] for unit in units if unit.id in set(drawn))
    assert len(set(drawn)) == 100
    assert abs(codes["34070-3"] - 25) <= 10
    assert drawn == sample(list(reversed(units)), size=100, seed=1)
    assert drawn != sample(units, size=100, seed=2)


def test_every_unit_has_the_same_chance_to_be_drawn() -> None:
    units = [Unit(f"u{n}", (f"c{n % 3}", f"d{n % 7}")) for n in range(60)]
    counts = Counter(id for seed in range(600) for id in sample(units, size=12, seed=seed))
    assert min(counts.values()) > 70
    assert max(counts.values()) < 180


def test_kappa_misleads_where_nearly_all_is_right_and_ac1_does_not() -> None:
    ratings = [("CORRECT", "CORRECT")] * 96 + [("CORRECT", "MINOR_ERROR")] * 2 + [("MINOR_ERROR", "CORRECT")] * 2
    found = agreement(ratings)
    assert found.raw == pytest.approx(0.96)
    assert found.kappa == pytest.approx(-0.02, abs=0.005)
    assert found.ac1 == pytest.approx(0.958, abs=0.002)


def test_perfect_agreement_is_one_even_when_all_are_alike() -> None:
    found = agreement([("CORRECT", "CORRECT")] * 10)
    assert (found.raw, found.kappa, found.ac1) == (1.0, 1.0, 1.0)


def rating(reviewer: str, judgement: str, *, adjudication: bool = False) -> Rating:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Rating("i", reviewer, domain.EXPERT, Judgement(judgement), "", at, adjudication)


def test_two_errors_count_by_the_more_severe_and_a_dispute_waits() -> None:
    both = [rating("a", "MINOR_ERROR"), rating("b", "HARMFUL")]
    assert domain.settled(both, 2) is Judgement.HARMFUL
    split = [rating("a", "CORRECT"), rating("b", "MINOR_ERROR")]
    assert domain.settled(split, 2) is None
    assert domain.disputed(split, 2)
    assert domain.settled([*split, rating("c", "CORRECT", adjudication=True)], 2) is Judgement.CORRECT
    assert domain.settled(split[:1], 2) is None


def test_a_share_of_the_frame_is_rounded_up_and_never_exceeds_it() -> None:
    assert Policy(200, 0.1, 0.02, 0.95, 1).planned(1001) == 101
    assert Policy(200, 0, 0.02, 0.95, 1).planned(150) == 150


@pytest.mark.parametrize("character", ["\x1b[2K", "\u202e", "\u200b", "\u2066", "\x08", "\ufeff"])
def test_a_reviewer_sees_every_character_that_trains(character: str) -> None:
    row = {
        "id": "p1",
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Dose?"}],
        "completion": [{"role": "assistant", "content": f"Do {character}not take it."}],
    }
    item = subject._item(row, {}, 0, 1)
    assert f"[U+{ord(character[0]):04X}]" in item.answer
    assert item.question == "[system] Be brief.\n[user] Dose?"


def test_a_cell_of_an_exported_review_is_never_a_formula() -> None:
    item = domain.Item("i1", 0, "p1", "=HYPERLINK(1)", "@SUM(A1)", "", "+1", "-2", "Title", "drug")
    (_, row) = list(csv.reader(io.StringIO(spreadsheet.write([item], {}).lstrip("\ufeff"))))
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)
