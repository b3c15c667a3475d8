"""The base with examples in its prompt: which items are examples, what it takes to beat it, and what stops a run."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.scorer import WordTemplate, engine, questions

from posology.core import schema
from posology.core.errors import InvalidInput
from posology.evaluation import convert, few_shot, forecast, gates, items
from posology.evaluation.domain import (
    BASE,
    FEW_SHOT,
    TUNED,
    Baseline,
    Choice,
    Development,
    Evidence,
    Gate,
    GateResult,
    Outcome,
    Policy,
    Scoring,
    Suite,
)
from posology.evaluation.questions import Question
from posology.evaluation.worker.client import EngineClient
from posology.evaluation.worker.journal import Journal
from posology.evaluation.worker.scoring import score
from posology.orchestrator.domain import Observation, State
from posology.orchestrator.graph import needs_of, stages_of
from posology.orchestrator.stages.baseline import decided
from posology.v1alpha1 import evaluation_pb2

SUITE = Suite("exam", "sha256:" + "3" * 64)
TASK = Suite("task", "sha256:" + "4" * 64, development=Development.BENEFIT)


def choices(right: set[int], n: int) -> list[Choice]:
    return [Choice(f"q{i}", "", 0, (0.0, -1.0) if i in right else (-1.0, 0.0)) for i in range(n)]


def rival(gained: int, lost: int, n: int, *, limit: float = 0.0, confidence: float = 0.95) -> GateResult:
    """A candidate that gains on the few-shot base so often, and loses so often."""
    both = set(range(gained + lost, n - 20))
    few, tuned = both | set(range(gained, gained + lost)), both | set(range(gained))
    by_model = {BASE: choices(set(), n), FEW_SHOT: choices(few, n), TUNED: choices(tuned, n)}
    gate = Gate(SUITE.name, min_gain_over_few_shot=limit)
    policy = Policy((SUITE,), (gate,), confidence=confidence, baseline=Baseline("task", 5))
    [result] = [r for r in gates.decide(policy, Evidence({SUITE.name: by_model})) if r.suite == SUITE.name]
    return result


@pytest.mark.parametrize(
    ("gained", "lost", "outcome"),
    [
        (26, 14, Outcome.PASS),  # 40 discordant of 200: 26 wins are needed
        (25, 15, Outcome.INSUFFICIENT_EVIDENCE),
        (20, 20, Outcome.INSUFFICIENT_EVIDENCE),
        (14, 26, Outcome.FAIL),
        (5, 0, Outcome.PASS),
        (4, 0, Outcome.INSUFFICIENT_EVIDENCE),  # exact p 0.0625, though the score bound lies above 0
        (0, 0, Outcome.INSUFFICIENT_EVIDENCE),
    ],
)
def test_the_candidate_must_beat_it_by_mcnemars_exact_test(gained: int, lost: int, outcome: Outcome) -> None:
    result = rival(gained, lost, 200)
    assert result.outcome is outcome, result.explanation
    assert (result.kind, result.n, result.details["shots"]) == ("rival", 200, 5)
    assert "5 examples in its prompt" in result.explanation
    assert "McNemar exact" in result.method


def test_a_margin_is_shown_by_the_bound_and_later_tries_by_a_stricter_one() -> None:
    assert rival(60, 10, 200, limit=0.1).outcome is Outcome.PASS
    assert rival(60, 10, 200, limit=0.2).outcome is Outcome.INSUFFICIENT_EVIDENCE
    assert rival(40, 20, 200, limit=0.3).outcome is Outcome.FAIL
    assert rival(26, 14, 200, confidence=0.975).outcome is Outcome.INSUFFICIENT_EVIDENCE


def test_without_its_scores_or_with_other_items_the_gate_is_invalid() -> None:
    policy = Policy((SUITE,), (Gate(SUITE.name, min_gain_over_few_shot=0.0),), baseline=Baseline("task", 5))
    for models in ({BASE: 50, TUNED: 50}, {FEW_SHOT: 50, TUNED: 49}, {FEW_SHOT: 50}):
        by_model = {model: choices(set(), n) for model, n in models.items()}
        result = next(r for r in gates.decide(policy, Evidence({SUITE.name: by_model})) if r.kind == "rival")
        assert result.outcome is Outcome.INVALID, models


def test_its_items_are_stored_beside_the_others_and_change_no_other_gate() -> None:
    gate = (Gate(SUITE.name, max_drop=0.2, min_gain_over_few_shot=0.0),)
    policy = Policy((SUITE,), gate, baseline=Baseline("task", 5))
    models = {BASE: range(60), TUNED: range(90), FEW_SHOT: range(30)}
    lines = [items.line(SUITE.name, m, c) for m, right in models.items() for c in choices(set(right), 100)]
    evidence = items.evidence(items.read_lines(items.write(lines).encode()), [], policy)
    outcomes = {r.kind: r.outcome for r in gates.decide(policy, evidence) if r.suite == SUITE.name}
    assert outcomes == {"regression": Outcome.PASS, "rival": Outcome.PASS}


# --- examples ------------------------------------------------------------------------------------------


def test_examples_are_the_same_in_any_order_of_the_file_and_are_never_scored() -> None:
    pool = questions(40)
    examples = few_shot.shots(pool, 5)
    assert examples == few_shot.shots(pool[::-1], 5)
    assert [one.id for one in examples] != ["q0", "q1", "q2", "q3", "q4"]
    left = few_shot.without_shots(pool, 5)
    assert len(left) == 35
    assert not {one.id for one in left} & {one.id for one in examples}
    assert few_shot.without_shots(pool, 0) == tuple(pool)


class ShotTemplate(WordTemplate):
    """Notes what stands before a question."""

    seen: list[Any]

    def __init__(self) -> None:
        self.seen = []

    def prompt(self, text: str, shots: Any = ()) -> tuple[int, ...]:
        return tuple(len(word) for part in (*shots, (text, "")) for word in f"{part[0]} {part[1]}".split())

    def letters(self, question: Question, shots: Any = ()) -> tuple[tuple[int, ...], tuple[int, ...]]:
        self.seen.append(shots)
        return super().letters(question)

    def shot(self, question: Question, *, letter: bool) -> tuple[str, str]:
        return question.prompt, "ABCD"[question.answer] if letter else question.choices[question.answer]


async def scored(folder: Path, template: ShotTemplate, *, context: int, shots: int) -> None:
    pool = questions(12)
    journal = Journal(folder, {"shots": shots})
    async with httpx.AsyncClient(transport=engine(0.0), base_url="http://engine") as http:
        client = EngineClient(http, name="model", in_flight=4, context=context)
        suite = replace(SUITE, scoring=Scoring.LETTER)
        left, examples = few_shot.without_shots(pool, shots), few_shot.shots(pool, shots)
        made: Any = template
        await score(client, made, suite, left, journal=journal, on_item=lambda: None, shots=examples)


def test_every_question_stands_behind_the_examples_and_their_right_answers(tmp_path: Path) -> None:
    template = ShotTemplate()
    asyncio.run(scored(tmp_path, template, context=4000, shots=3))
    examples = few_shot.shots(questions(12), 3)
    turns = tuple((one.prompt, "ABCD"[one.answer]) for one in examples)
    assert template.seen == [turns] * 9


def test_examples_that_leave_no_room_are_named_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(scored(tmp_path, ShotTemplate(), context=60, shots=3))
    [first, *_] = caught.value.exceptions
    assert isinstance(first, InvalidInput)
    assert "the model's length is 60: lower evaluation.baseline.fewShot" in first.message


# --- specs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "count", "says"),
    [
        ({}, 100, ""),
        ({"baseline": {"suite": "exam"}}, 100, "baseline.suite: is exam"),
        ({"baseline": {"suite": "nope"}}, 100, "there is task"),
        ({"development": "SIDE_EFFECT"}, 100, "baseline.suite: is missing"),
        ({"kind": "SYCOPHANCY"}, 100, "there is none"),
        ({"baseline": {"fewShot": 0}}, 100, "baseline.fewShot: is 0"),
        ({}, 54, "without 5 examples 49 are left"),
        ({"baseline": None}, 100, r"gates\[0\].minGainOverFewShot: compares with the few-shot base"),
    ],
)
def test_what_a_baseline_lacks_is_said_before_anything_starts(changes: dict[str, Any], count: int, says: str) -> None:
    task = {"name": "task", "uri": "file:///t", "development": "BENEFIT"} | {
        key: value for key, value in changes.items() if key in ("development", "kind")
    }
    stated: dict[str, Any] = {
        "suites": [{"name": "exam", "uri": "file:///e"}, task],
        "gates": [{"suite": "exam", "minGainOverFewShot": 0.0}],
        "baseline": {"fewShot": 5} | (changes.get("baseline") or {}),
    }
    if "baseline" in changes and changes["baseline"] is None:
        del stated["baseline"]
    message = schema.parse(evaluation_pb2.EvaluationJobSpec, {"evaluation": stated})
    schema.apply_defaults(message)
    spec = schema.to_mapping(message)
    stated, policy = spec["evaluation"], convert.policy_from_spec(spec, {})
    parsed = {"task": questions(count), "exam": questions(count)}
    wrong = [f"{v.field}: {v.description}" for v in few_shot.violations(policy, stated, parsed)]
    assert bool(wrong) is bool(says), wrong
    if says:
        assert any(re.search(says, one) for one in wrong), wrong
    dose = convert.policy_from_spec({"evaluation": stated, "development": True}, {})
    assert not list(few_shot.violations(replace(dose, baseline=None), stated, parsed))


def test_the_plan_says_when_no_number_of_right_answers_would_show_the_gain() -> None:
    policy = Policy((SUITE,), (Gate(SUITE.name, min_gain_over_few_shot=0.95),), baseline=Baseline("task", 5))
    [text] = [one for one in forecast.warnings(policy, {SUITE.name: questions(20)}) if "minGainOverFewShot" in one]
    assert "cannot pass" in text


# --- the stage -----------------------------------------------------------------------------------------

SEEN = Observation(State.SUCCEEDED, "done", "sha256:e", "evaluations/b")


def summary(right: int, n: int = 195) -> dict[str, Any]:
    scores = {"accuracy": right / n, "low": right / n - 0.05, "high": right / n + 0.05, "n": n}
    return {"suites": {"task": {"few-shot": scores}}, "shots": 5}


@pytest.mark.parametrize(
    ("right", "limit", "state"),
    [(165, 0.85, State.SUCCEEDED), (166, 0.85, State.FAILED), (195, 1.0, State.FAILED), (195, 0.0, State.SUCCEEDED)],
)
def test_a_base_that_examples_make_good_enough_stops_the_run(right: int, limit: float, state: State) -> None:
    seen = decided(SEEN, summary(right), {"fewShot": 5, "stopIfAtLeast": limit})
    assert seen.state is state
    assert "5 examples in its prompt" in seen.reason
    if state is State.FAILED:
        assert seen.error is not None
        assert not seen.error.retryable
        for word in ("prompt it", "retrieve facts", "stopIfAtLeast"):
            assert word in seen.reason
    json.dumps(seen.details)


def test_it_comes_before_experts_and_gpus_and_a_sweeps_doses_have_none() -> None:
    spec: dict[str, Any] = {
        "curation": {"review": {}, "preferences": {"review": {}}},
        "training": {"sft": {}},
        "evaluation": {"gates": [], "baseline": {"fewShot": 5}},
        "sweep": {},
    }
    assert "baseline" in {stage.stage for stage in stages_of(spec)}
    for later in ("sft", "sweep", "review-data", "review-preferences"):
        assert "baseline" in needs_of(later, spec)
    assert set(needs_of("baseline", spec)) == {"base-model", "preflight"}
    assert "baseline" not in {stage.stage for stage in stages_of({**spec, "doseOf": {}})}
    assert "baseline" not in {stage.stage for stage in stages_of({**spec, "evaluation": {"gates": []}})}
