"""What a reviewer sees of a text that others wrote."""

import time

import pytest

from posology.console import marks

SECTION = "Take 5 mg once daily.  Do not exceed 10 mg.\nStore below 25 °C."


def marked(segments: list[marks.Segment], mark: str) -> list[str]:
    return [segment.text for segment in segments if segment.mark == mark]


def test_the_supporting_sentence_is_lit_whatever_white_space_it_has() -> None:
    assert marked(marks.section(SECTION, "Do not exceed\n10 mg."), "evidence") == ["Do not exceed 10 mg."]
    assert marked(marks.section(SECTION, "It says (nothing) of this."), "evidence") == []
    assert "".join(segment.text for segment in marks.section(SECTION, "Take 5 mg")) == SECTION


@pytest.mark.parametrize(
    ("answer", "differs"),
    [
        ("Take 5 mg once daily.", []),
        ("Take 50 mg once daily.", ["50 mg"]),
        ("Take 5 mcg twice daily.", ["5 mcg", "twice"]),
        ("You may never exceed 10 mg.", ["never"]),
        ("Store above 25 °C.", ["above"]),
    ],
)
def test_facts_that_the_section_lacks_are_marked(answer: str, differs: list[str]) -> None:
    assert marked(marks.answer(answer, SECTION), "differs") == differs


def test_a_models_answer_without_a_section_has_nothing_marked() -> None:
    assert marked(marks.answer("Take 20 mg daily, never more.", " "), "differs") == []


@pytest.mark.parametrize(
    ("text", "evidence", "lit"),
    [
        ("At least 2 fold [see Clinical Pharmacology (12.5)] . Watch it.", "At least 2 fold. Watch it.", 1),
        ("Store it cold.\n\nTable 1\n\nShake it well.", "Store it cold. Shake it well.", 2),
        ("Give 5 mg (2.5 mg in the elderly) daily.", "Give 5 mg (2.5 mg in the elderly) daily.", 1),
        ("It is not here.", "Something else. Entirely.", 0),
        ("", "x", 0),
        ("text", "", 0),
        ("a.b.c", ". . .", 0),
    ],
)
def test_support_is_lit_around_references_and_sentence_by_sentence(text: str, evidence: str, lit: int) -> None:
    pieces = marks.section(text, evidence)
    assert "".join(piece.text for piece in pieces) == text
    assert sum(piece.mark == "evidence" for piece in pieces) == lit


def test_hostile_support_is_looked_for_in_time() -> None:
    began = time.process_time()
    marks.section("[ " * 50_000 + "a " * 50_000, "a [ " * 5_000 + "b")
    marks.section("a " * 100_000, "a " * 20_000 + "b. " + "a b. " * 2_000)
    assert time.process_time() - began < 2
