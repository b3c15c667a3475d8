"""`posology dataset` shows a data set's card, drops, gaps and a sample from the artifact's own files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.signed_world import PAIR, SECTION, build
from typer.testing import CliRunner, Result

from posology.cli.app import app
from posology.cli.commands import dataset

DROPS = [
    {
        "stage": "filter",
        "reason": "min_words",
        "detail": "3 words, at least 80 wanted",
        "source": "a.xml",
        "pair": PAIR,
    },
    {"stage": "source", "reason": "unreadable", "detail": "a.xml is empty", "source": "a.xml", "pair": None},
    {
        "stage": "filter",
        "reason": "min_words",
        "detail": "5 words, at least 80 wanted",
        "source": "b.xml",
        "pair": PAIR,
    },
]
GAPS = [{"label": "l", "drug": "quotazol", "source": "a.xml", "missing": "a dose", "reason": "only tables"}]
CARD = {
    "pairs": {"train": 2},
    "coverage": {"a dose": {"labels": 4, "asked": 3}},
    "question_types": {"dose": 2},
    "drops": {"filter": {"min_words": 2}},
}


def _lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    world = build(tmp_path)
    files: dict[str, bytes | str] = {
        "train.jsonl": _lines([PAIR, {**PAIR, "id": "p-2", "question_type": "storage"}]),
        "sections.jsonl": _lines([SECTION]),
        "drops.jsonl": _lines(DROPS),
        "gaps.jsonl": _lines(GAPS),
        "card.json": json.dumps(CARD),
    }
    made = world.publish(files, kind="dataset")
    monkeypatch.setattr(dataset, "_find", lambda _, what, of: (what, world.stored))
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_the_card_shows_coverage_and_drops(digest: str) -> None:
    shown = run("dataset", "card", digest)
    assert shown.exit_code == 0, shown.output
    assert "3 of 4 (75%)" in shown.output
    assert "filter/min_words" in shown.output
    assert json.loads(run("-o", "json", "dataset", "card", digest).stdout)["coverage"]


@pytest.mark.parametrize(
    ("kind", "card"),
    [
        ("preferences", {"pairs": 25, "kinds": {"number": 20, "negation": 5}}),
        ("general", {"pairs": {"considered": 40, "general": 38}, "drops": {"duplicate": {"exact": 2}}}),
    ],
)
def test_cards_of_other_sets_are_shown_too(
    kind: str, card: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = build(tmp_path)
    made = world.publish({"card.json": json.dumps(card)}, kind=kind)
    monkeypatch.setattr(dataset, "_find", lambda _, what, of: (what, world.stored))
    shown = run("dataset", "card", made, "--of", kind)
    assert shown.exit_code == 0, shown.output
    assert all(word in shown.output for word in (("pairs", "25") if kind == "preferences" else ("38", "exact")))


def test_a_long_name_in_a_card_does_not_run_into_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = build(tmp_path)
    card = {"pairs": 150, "question_types": {"pharmacology-recommended-dose": 144, "dose": 6}}
    made = world.publish({"card.json": json.dumps(card)}, kind="dataset")
    monkeypatch.setattr(dataset, "_find", lambda _, what, of: (what, world.stored))
    lines = run("dataset", "card", made).output.splitlines()
    assert "  pharmacology-recommended-dose  144" in lines
    assert "  dose                           6" in lines


def test_drops_are_counted_and_listed_by_reason(digest: str) -> None:
    counts = json.loads(run("-o", "json", "dataset", "drops", digest).stdout)
    assert {row["reason"]: row["drops"] for row in counts} == {"min_words": 2, "unreadable": 1}
    listed = json.loads(run("-o", "json", "dataset", "drops", digest, "--reason", "min_words", "--limit", "1").stdout)
    assert [row["detail"] for row in listed] == ["3 words, at least 80 wanted"]


def test_an_unknown_reason_names_those_that_there_are(digest: str) -> None:
    refused = run("dataset", "drops", digest, "--reason", "taste")
    assert refused.exit_code != 0
    assert "min_words, unreadable" in str(refused.exception) + refused.output


def test_gaps_name_label_attribute_and_reason(digest: str) -> None:
    assert "only tables" in run("dataset", "gaps", digest).output
    assert json.loads(run("-o", "json", "dataset", "gaps", digest, "--missing", "storage").stdout) == []


def test_a_sample_is_drawn_by_its_seed_and_whole(digest: str) -> None:
    first = run("dataset", "sample", digest, "--count", "1", "--seed", "3").output
    assert first == run("dataset", "sample", digest, "--count", "1", "--seed", "3").output
    assert "What is the maximum dose of Quotazol?" in first
    assert "The maximum dose of Quotazol is 300 mg." in first
    only = json.loads(run("-o", "json", "dataset", "sample", digest, "--kind", "storage").stdout)
    assert [row["id"] for row in only] == ["p-2"]
