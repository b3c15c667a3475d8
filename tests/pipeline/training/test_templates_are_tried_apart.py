"""A chat template is rendered in a process of its own, under limits and two clocks, before any model is imported."""

import json
from typing import Any

import pytest
from support.training_bench import python


@pytest.fixture(scope="module")
def attacks() -> dict[str, Any]:
    said: dict[str, Any] = json.loads(python("template_attacks.py").stdout.strip().splitlines()[-1])
    return said


def test_a_template_that_reads_the_clock_is_refused_with_what_to_pin(attacks: dict[str, Any]) -> None:
    for name in attacks["kinds"]["clocks"]:
        assert "reads the clock" in attacks["said"][name], name
        assert attacks["said"][name].startswith("spec.baseModel.templateDate"), name


def test_a_template_that_draws_at_random_or_shows_memory_is_refused(attacks: dict[str, Any]) -> None:
    for name in attacks["kinds"]["chance"]:
        assert "changes by itself" in attacks["said"][name], name


def test_a_template_that_takes_all_memory_or_time_is_refused(attacks: dict[str, Any]) -> None:
    for name in attacks["kinds"]["large"]:
        assert "takes more than 512 MiB" in attacks["said"][name], name
    for name in attacks["endless"]:
        assert "s for a few short conversations" in attacks["said"][name], name


def test_what_is_no_template_is_named(attacks: dict[str, Any]) -> None:
    for name in attacks["kinds"]["broken"]:
        assert "is no template" in attacks["said"][name], name


def test_pure_templates_and_pinned_ones_are_taken(attacks: dict[str, Any]) -> None:
    assert {name: attacks["said"][name] for name in attacks["fine"]} == dict.fromkeys(attacks["fine"], "")
    assert attacks["dates"]["pinned plain"] == "02 Jan 2025"
    assert attacks["dates"]["pinned another name"] == "2025-01-02"
    assert attacks["dates"]["pinned in a block"] == "02 Jan 2025"
    assert attacks["dates"]["pinned a format from elsewhere"] == ""  # an error, not another date than the model knows


def test_a_trial_that_is_told_to_stop_stops_at_once(attacks: dict[str, Any]) -> None:
    assert 0 < attacks["stopped"] < 5
