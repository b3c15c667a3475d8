"""Fingerprints, edits, and what the semantic screen does with them."""

from dataclasses import replace

import numpy as np
import pytest

from posology.curation.domain import CONTRADICTION, Message, Pair, make_pair
from posology.curation.screens.screening import through
from posology.curation.screens.semantic import SemanticScreen, Vectors
from posology.curation.text.edits import edits
from posology.curation.text.quantities import fingerprint


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("CrCl below 30 mL/min", "CrCl above 30 mL/min", "comparators"),
        ("X is contraindicated in asthma", "X is not contraindicated in asthma", "negations"),
        ("Take 10 mg daily", "Take 100 mg daily", "quantities"),
        ("Take 10 mg daily", "Take 10 mcg daily", "quantities"),
        ("Reduce the dose in renal impairment", "Reduce the dose in hepatic impairment", "populations"),
        ("Avoid use with warfarin", "Avoid use with aspirin", "drugs"),
        ("Mild hepatic impairment", "Severe hepatic impairment", "populations"),
    ],
)
def test_texts_that_differ_in_one_fact_have_different_fingerprints(one: str, other: str, kind: str) -> None:
    assert fingerprint(one).differences(fingerprint(other)) == (kind,)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The dose is 12.5 milligrams a day.", "A day's dose: 12.50 mg."),
        ("About 1,000 units are given.", "One gives 1000 IU."),
        ("It is reduced by 40 percent in children.", "In children, it is reduced by 40%."),
    ],
)
def test_wording_and_spelling_of_numbers_do_not_matter(one: str, other: str) -> None:
    assert fingerprint(one) == fingerprint(other)


SENTENCE = "In adults the dose is 10 mg daily; avoid use with warfarin below 30 kg, as it is not safe."


def test_every_kind_of_fact_can_be_edited_alone() -> None:
    found = edits(SENTENCE, context=SENTENCE, drug="examplol")
    assert {edit.kind for edit in found} == {"number", "unit", "comparator", "negation", "drug", "population"}
    assert all(edit.text == SENTENCE.replace(edit.before, edit.after, 1) for edit in found)
    assert len({edit.text for edit in found}) == len(found)


def test_an_edit_that_the_section_also_states_is_no_wrong_answer() -> None:
    context = f"{SENTENCE} In severe cases 20 mg is given, in others 100 mg."
    values = {edit.after for edit in edits(SENTENCE, context=context, drug="examplol") if edit.kind == "number"}
    assert "20 mg" not in values
    assert "100 mg" not in values
    assert "5 mg" in values


def pair(answer: str, *, drug: str = "examplol", kind: str = "explain") -> Pair:
    return make_pair((Message("user", f"Question on {drug}?"),), answer, question_type=kind, drug=drug, source="a")


def embed_alike(texts: list[str]) -> Vectors:
    """What MiniLM does with such sentences, taken to the extreme: all point the same way."""
    return np.ones((len(texts), 2), np.float32) / np.float32(np.sqrt(2))


def test_equal_facts_and_a_high_cosine_are_a_duplicate() -> None:
    screen = SemanticScreen(0.92, lambda texts: embed_alike(list(texts)))
    found = screen.screen([pair("Take 10 mg once."), pair("One takes 10 mg once.")])
    assert [p.answer for p in found.kept] == ["Take 10 mg once."]
    assert found.drops[0].reason == "paraphrase"


def test_of_two_copies_in_a_batch_the_one_that_can_be_traced_is_kept_whichever_came_first() -> None:
    first = pair("Take 10 mg once.")
    traced = replace(pair("One takes 10 mg once."), evidence="One takes 10 mg once.")
    other = pair("Take 7 mg once.", kind="summary")
    screen = SemanticScreen(0.92, lambda texts: embed_alike(list(texts)))
    found = through([screen], [first, other, traced])
    assert [p.id for p in found.kept] == [other.id, traced.id]


def test_different_facts_and_a_high_cosine_are_kept_and_marked_for_the_experts() -> None:
    screen = SemanticScreen(0.92, lambda texts: embed_alike(list(texts)))
    first = screen.screen([pair("Take 10 mg once.")])
    second = screen.screen([pair("Take 100 mg once."), pair("Take 100 mg once.", drug="otherol")])
    assert not first.kept[0].tags
    assert [CONTRADICTION in p.tags for p in second.kept] == [True, False]
    assert not second.drops
