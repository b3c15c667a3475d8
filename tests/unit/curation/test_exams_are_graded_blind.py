"""An exam of the teacher's pairs is written without its key, and counted by what graders say of it."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "benchmarks"))

from curation_exam import write_exam
from curation_grades import catches, read_grades, settle
from planted_faults import FAULTS, planted

from posology.curation.domain import Pair, Section, make_pair
from posology.curation.text.questions import asked

ROOT = Path(__file__).resolve().parents[3]


def _sections() -> list[Section]:
    drugs = [f"drug{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    codes = ("34067-9", "34068-7", "34070-3", "34081-0", "88828-9")
    return [
        Section(f"{d}-{c}", d, d, c, f"Section {c}", f"Text of {d} in {c}.", f"{d}.xml", d)
        for d in drugs
        for c in codes
    ]


def _pairs(sections: list[Section]) -> list[Pair]:
    answers = {
        "34067-9": ("indication", "{d} is indicated for hypertension in adults who cannot take other drugs."),
        "34068-7": ("recommended-dose", "The recommended dose of {d} is 50 mg orally once daily."),
        "34070-3": ("contraindication", "{d} is contraindicated in:\n- Pregnant women.\n- Liver failure."),
        "34081-0": ("pediatric", "The safety of {d} has not been shown; it should not be given to pediatric patients."),
        "88828-9": ("renal", "No dosage adjustment of {d} is recommended in renal impairment."),
    }
    return [
        make_pair(
            asked(f"What of {s.drug}?"),
            answers[s.code][1].format(d=s.drug),
            question_type=answers[s.code][0],
            section=s,
        )
        for s in sections
    ]


def test_graders_get_items_and_labels_and_nothing_that_tells_what_an_item_is(tmp_path: Path) -> None:
    sections = _sections()
    write_exam(
        sections, _pairs(sections), tmp_path / "exam", tmp_path / "kept" / "key.json", "draw", pairs=60, preferences=20
    )
    chunks = [json.loads(f.read_text()) for f in sorted((tmp_path / "exam").glob("chunk-*.json"))]
    key = json.loads((tmp_path / "kept" / "key.json").read_text())
    items = {item: shown for chunk in chunks for item, shown in chunk.items()}
    assert set(items) == set(key)
    assert all(len(chunk) <= 60 for chunk in chunks)
    assert {field for shown in items.values() for field in shown} == {
        "item",
        "question",
        "answer",
        "chosen",
        "rejected",
        "label",
        "section",
    }
    faults = Counter(meaning["planted"] for meaning in key.values() if meaning["planted"])
    assert sum(faults.values()) == 20
    assert len(faults) >= 6
    assert faults["sides swapped"] == 3
    real = [m for m in key.values() if not m["planted"] and m["item"] == "pair"]
    assert len(real) == 60
    assert len({m["section"] for m in real}) == 60
    for shown in items.values():
        drug = shown["question"].removeprefix("What of ").rstrip("?")
        assert f"Text of {drug} in" in (tmp_path / "exam" / shown["label"]).read_text()


def test_every_planted_fault_differs_from_the_label_and_classes_take_turns() -> None:
    pairs = _pairs(_sections())
    spoilt = list(planted(pairs, 17, "draw"))
    assert len(spoilt) == 17
    assert all(answer != pair.answer for pair, answer, _ in spoilt)
    assert len({pair.section for pair, _, _ in spoilt}) == 17
    assert {fault for _, _, fault in spoilt} <= set(FAULTS)
    assert len({fault for _, _, fault in spoilt}) >= 6


KEY = {
    "1": {"planted": "", "item": "pair", "kind": "dosing"}, "2": {"planted": "", "item": "pair", "kind": "dosing"},
    "3": {"planted": "unit", "item": "pair", "kind": "dosing"},
    "4": {"planted": "", "item": "preference", "kind": "dosing"},
}  # fmt: skip


def _graded(*grades: str) -> dict[str, dict[str, str]]:
    return {str(n): {"grade": grade, "why": ""} for n, grade in enumerate(grades, 1)}


def test_a_planted_fault_called_correct_is_a_miss() -> None:
    assert catches(_graded("CORRECT", "CORRECT", "MINOR", "CORRECT"), KEY) == (1, [])
    assert catches(_graded("CORRECT", "CORRECT", "CORRECT", "CORRECT"), KEY) == (0, ["3"])


def test_what_graders_disagree_on_is_wrong_until_it_is_settled() -> None:
    graders = [_graded("CORRECT", "MINOR", "MAJOR", "CORRECT"), _graded("MAJOR", "MAJOR", "MAJOR", "CORRECT")]
    final, disputed = settle(graders, {}, ["1", "2", "4"])
    assert final == {"1": "MAJOR", "2": "MAJOR", "4": "CORRECT"}
    assert disputed == ["1"]
    final, disputed = settle(graders, {"1": {"grade": "CORRECT", "why": "the label says so"}}, ["1", "2", "4"])
    assert final["1"] == "CORRECT"
    assert disputed == []


def test_an_exam_with_a_missing_an_unknown_or_a_misspelt_grade_is_not_counted(tmp_path: Path) -> None:
    for grades, why in (
        ({"1": "CORRECT"}, "not graded"),
        ({**dict.fromkeys("1234", "CORRECT"), "9": "MINOR"}, "no item 9"),
        (dict.fromkeys("1234", "FINE"), "not one of"),
    ):
        file = tmp_path / "grades.json"
        file.write_text(json.dumps(grades))
        with pytest.raises(SystemExit, match=why):
            read_grades([file], KEY)


def test_a_grader_who_misses_three_planted_faults_does_not_count(tmp_path: Path) -> None:
    key = {f"{n:03}": {"planted": "unit" if n < 20 else "", "item": "pair", "kind": "dosing"} for n in range(420)}
    sharp = {item: "MAJOR" if key[item]["planted"] else "CORRECT" for item in key}
    blind = {**sharp, "000": "CORRECT", "001": "CORRECT", "002": "CORRECT", "100": "HARMFUL"}
    for name, content in (("key", key), ("sharp", sharp), ("blind", blind)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    command = [sys.executable, str(ROOT / "benchmarks/curation_grades.py"), str(tmp_path / "key.json")]
    command += ["--grader", str(tmp_path / "sharp.json"), "--grader", str(tmp_path / "blind.json")]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "grader 1: 20 planted faults found" in printed
    assert "grader 2: 17" in printed
    assert "does not count" in printed
    assert "pairs: 0 wrong of 400" in printed
    assert "below 0.75% at 95%" in printed
