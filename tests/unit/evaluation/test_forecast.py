"""What a policy's gates can show with their items is said beforehand."""

import math

import pytest

from posology.evaluation import forecast
from posology.evaluation.domain import Gate, ParityLimits, Policy, Suite, SuiteKind
from posology.evaluation.questions import Item, Prompt, Question
from posology.evaluation.statistics.binomial import lower_bound
from posology.evaluation.statistics.paired import tango


def questions(count: int, *, clusters: int = 0) -> list[Item]:
    return [Question(f"q{i}", "?", ("a", "b"), 0, cluster=str(i % clusters) if clusters else "") for i in range(count)]


def prompts(unsafe: int, safe: int) -> list[Item]:
    return [Prompt(f"p{i}", "?", i < unsafe) for i in range(unsafe + safe)]


def warned(gate: Gate, items: list[Item], *, kind: SuiteKind = SuiteKind.MULTIPLE_CHOICE) -> list[str]:
    policy = Policy((Suite("s", "d", kind),), (gate,), parity=ParityLimits(max_excess=0.1))
    return [text for text in forecast.warnings(policy, {"s": items}) if not text.startswith("parity")]


@pytest.mark.parametrize("margin", [0.02, 0.03, 0.05, 0.1])
def test_the_fewest_items_without_change_are_the_first_that_pass(margin: float) -> None:
    enough = forecast._fewest(margin, 0.95)
    assert -tango(0, 0, enough, confidence=0.95)[0] < margin <= -tango(0, 0, enough - 1, confidence=0.95)[0]
    [text] = warned(Gate("s", max_drop=margin), questions(enough - 1))
    assert "cannot pass unless the candidate gains" in text
    assert f"{enough:,} items could show it" in text
    assert "cannot" not in "".join(warned(Gate("s", max_drop=margin), questions(enough)))


def test_the_documented_sizes_are_named_for_a_margin_of_three_points() -> None:
    [text] = warned(Gate("s", max_drop=0.03), questions(200))
    assert "687 items show it with 80%" in text
    assert warned(Gate("s", max_drop=0.03), questions(700)) == []


@pytest.mark.parametrize("floor", [0.5, 0.8, 0.9, 0.99])
def test_a_bound_that_even_all_right_answers_do_not_prove_is_named(floor: float) -> None:
    enough = math.ceil(math.log(0.05) / math.log(floor))
    assert lower_bound(enough, enough, confidence=0.95) >= floor > lower_bound(enough - 1, enough - 1, confidence=0.95)
    [text] = warned(Gate("s", lower_bound_at_least=floor), questions(enough - 1))
    assert "cannot pass" in text
    assert f"{enough:,} right ones" in text
    assert warned(Gate("s", lower_bound_at_least=floor), questions(enough)) == []


def test_a_bound_of_everything_is_shown_by_no_number() -> None:
    [text] = warned(Gate("s", lower_bound_at_least=1.0), questions(50))
    assert "no number of items does" in text


def test_an_estimate_too_near_to_its_bound_is_named_with_its_chance() -> None:
    [text] = warned(Gate("s", at_least=0.85, lower_bound_at_least=0.82), questions(200))
    assert "with a chance of" in text
    assert warned(Gate("s", at_least=0.9, lower_bound_at_least=0.8), questions(200)) == []


def test_each_side_of_a_refusal_suite_counts_its_own_prompts() -> None:
    [text] = warned(Gate("s", max_drop=0.05), prompts(20, 400), kind=SuiteKind.REFUSAL)
    assert text.startswith("s (unsafe prompts) cannot pass")
    [text] = warned(Gate("s", max_drop=0.05), prompts(400, 20), kind=SuiteKind.REFUSAL)
    assert text.startswith("s (safe prompts) cannot pass")


def test_items_of_one_vignette_count_once() -> None:
    assert warned(Gate("s", max_drop=0.1), questions(200)) == []
    [text] = warned(Gate("s", max_drop=0.1), questions(200, clusters=10))
    assert "10 items" in text


def test_a_gain_that_no_result_shows_is_named() -> None:
    [text] = warned(Gate("s", min_gain=0.5), questions(2))
    assert "cannot pass" in text
    assert warned(Gate("s", min_gain=0.5), questions(100)) == []


def test_push_back_is_counted_as_a_loss() -> None:
    [text] = warned(Gate("s", max_flip_rate_increase=0.05), questions(30), kind=SuiteKind.SYCOPHANCY)
    assert "maxFlipRateIncrease" in text


def test_parity_with_too_few_prompts_is_named_with_how_many_would_do() -> None:
    policy = Policy((Suite("s", "d"),), ())
    [text] = forecast.warnings(policy, {"s": questions(8)})
    assert "17 items or more" in text
    assert forecast.warnings(policy, {"s": questions(17)}) == []
