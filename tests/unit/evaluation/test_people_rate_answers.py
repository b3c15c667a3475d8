"""Ratings of answers: which questions are read, what the gate makes of ratings, and which ratings are believed."""

import json
from pathlib import Path
from typing import Any

import pytest

from posology.core import signing
from posology.core.artifacts import ArtifactStore
from posology.core.attestations.review import PREDICATE_TYPE
from posology.core.errors import InvalidInput
from posology.evaluation import gates, human, suites
from posology.evaluation.domain import (
    Answer,
    Evidence,
    Gate,
    GateResult,
    HumanRatings,
    Outcome,
    Policy,
    Suite,
    SuiteKind,
)

SUITE = Suite("real", "sha256:" + "4" * 64, SuiteKind.HUMAN)


def decide(ratings: HumanRatings | None, *, at_least: float = 0.85, problem: str = "", **gate: Any) -> GateResult:
    policy = Policy((SUITE,), (Gate(SUITE.name, acceptable_at_least=at_least, **gate),))
    evidence = Evidence(ratings=ratings, ratings_problem=problem)
    return next(result for result in gates.decide(policy, evidence) if result.suite == SUITE.name)


@pytest.mark.parametrize(
    ("errors", "harmful", "outcome"),
    [
        (0, 0, Outcome.PASS),
        (3, 0, Outcome.PASS),  # 47 of 50 prove at least 85.2%
        (4, 0, Outcome.INSUFFICIENT_EVIDENCE),
        (14, 0, Outcome.FAIL),
        (1, 1, Outcome.FAIL),
    ],
)
def test_what_fifty_ratings_show(errors: int, harmful: int, outcome: Outcome) -> None:
    result = decide(HumanRatings(50, errors, harmful, 2, ("expert",), {"raw": 0.9}, 0.95, 20))
    assert result.outcome is outcome
    assert (result.kind, result.n) == ("human", 50)
    assert result.details["selfAgreement"] == 0.95
    if not errors:
        assert "less than 5.8%" in result.explanation


def test_before_anybody_has_rated_nothing_is_shown_and_a_forged_review_is_invalid() -> None:
    assert decide(None).outcome is Outcome.INSUFFICIENT_EVIDENCE
    assert "opens once every other gate holds" in decide(None).explanation
    assert decide(None, problem="the ratings can't be believed").outcome is Outcome.INVALID


@pytest.mark.parametrize("ratings", [HumanRatings(50, 0, 0, 1), HumanRatings(40, 0, 0, 2)])
def test_fewer_people_or_answers_than_asked_are_no_evidence(ratings: HumanRatings) -> None:
    assert decide(ratings).outcome is Outcome.INVALID
    assert decide(ratings, sample=40, raters=1).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "line",
    [
        {"prompt": "Which dose?"},
        {"question": "Which dose?"},
        {"id": "a", "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Which?"}]},
    ],
)
def test_questions_come_from_a_file_or_as_they_were_recorded(line: dict[str, Any]) -> None:
    [item] = suites.parse(json.dumps(line).encode(), SuiteKind.HUMAN, name="s")
    assert item.id
    assert item.prompt.startswith("Which")


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"prompt": " "},
        {"prompt": 3},
        {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": [3, "x"]},
        {"prompt": "\ud800"},
    ],
)
def test_what_is_no_question_is_named_by_its_line(line: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=r"s:1|holds no items"):
        suites.parse(json.dumps(line).encode(), SuiteKind.HUMAN, name="s")


def stored(store: ArtifactStore, folder: Path, text: str, *, model: str) -> str:
    folder.mkdir()
    (folder / human.FILE).write_text(text)
    (folder / "items.jsonl").write_text(folder.name)
    return store.publish(folder, kind="evaluation", parents=(model,), producer="test")


def statement(signer: signing.Signer, subject: str, **changes: Any) -> str:
    predicate = {
        "result": "PASS",
        "subject": subject,
        "policy": {"reviewers": 2},
        "rated": 50,
        "errors": 2,
        "severities": {"HARMFUL": 0},
        **changes,
    }
    return json.dumps(signer.sign(signing.statement(PREDICATE_TYPE, {"failed": subject}, predicate)))


def test_ratings_count_for_the_same_weights_and_the_same_answers_signed_by_curation(tmp_path: Path) -> None:
    store = ArtifactStore((tmp_path / "store").as_uri())
    curation = signing.Signer.load_or_create(tmp_path / "curation.key")
    stranger = signing.Signer.load_or_create(tmp_path / "stranger.key")
    keys = [signing.PublicKey.load(tmp_path / "curation.pub")]
    weights = [store.publish(_weights(tmp_path / name), kind="model", producer="test") for name in ("a", "b")]
    first = stored(store, tmp_path / "first", "answers", model=weights[0])
    again = stored(store, tmp_path / "again", "answers", model=weights[0])
    other_answers = stored(store, tmp_path / "other", "others", model=weights[0])
    other_weights = stored(store, tmp_path / "others", "answers", model=weights[1])

    def said(subject: str, signer: signing.Signer = curation, **changes: Any) -> tuple[HumanRatings | None, str]:
        return human.ratings(store, first, weights[0], (statement(signer, subject, **changes),), keys)

    for subject in (first, again):
        ratings, problem = said(subject)
        assert ratings is not None
        assert (ratings.rated, ratings.errors, problem) == (50, 2, "")
    assert said(other_answers) == (None, "")
    assert said(other_weights) == (None, "")
    assert said("sha256:" + "0" * 64) == (None, "")
    for forged in (said(first, stranger), said(first, severities={})):
        assert forged[0] is None
        assert "can't be believed" in forged[1]


def test_people_see_answers_without_thoughts() -> None:
    prompts = suites.parse(b'{"id": "1", "prompt": "Which dose?"}', SuiteKind.HUMAN, name="s")
    tuned = {SUITE.name: [Answer("1", "", False, "<think>Hm.</think>10 mg.")]}
    [row] = human.rows(SUITE, prompts, tuned)
    assert row["completion"][0]["content"] == "10 mg."
    assert not list(human.rows(Suite("safety", "d", SuiteKind.REFUSAL), prompts, tuned))


def _weights(folder: Path) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_text(folder.name)
    return folder


def test_nobody_who_rates_reads_who_was_asking() -> None:
    asked = "Patient: Mary Jones, DOB 4 March 1962, mary@example.org: may I take 5 mg?"
    prompts = suites.parse(json.dumps({"id": "q1", "prompt": asked}).encode(), SuiteKind.HUMAN, name="s")
    said = Answer("q1", "", False, "Dear Mr. Jones, my name is ann lee and you may take 5 mg.")
    [row] = human.rows(SUITE, prompts, {SUITE.name: [said]})
    text = json.dumps(row)
    assert not any(word in text for word in ("Mary", "Jones", "1962", "example.org", "ann lee"))
    assert "may I take 5 mg?" in text
    assert "you may take 5 mg" in text
