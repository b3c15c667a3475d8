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
        ("It is metabolized by CYP3A4.", "It is metabolized by CYP2D6.", "enzymes"),
        ("A substrate of CYP2C9", "A substrate of CYP2C19", "enzymes"),
        ("It inhibits P-gp.", "It inhibits BCRP.", "enzymes"),
        ("Glucuronidated by UGT1A1", "Glucuronidated by UGT1A9", "enzymes"),
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


@pytest.mark.parametrize(
    ("kind", "sentence", "rejected"),
    [
        (
            "recommended-dose",
            "The recommended dose of examplol is 10 mg daily.",
            "The recommended dose of examplol is 20 mg daily.",
        ),
        ("recommended-dose", "The dose of examplol is 1,250 mg daily.", "The dose of examplol is 2,500 mg daily."),
        ("half-life", "The half-life of examplol is 7 hours.", "The half-life of examplol is 14 hours."),
        ("storage", "Store at 20°C to 25°C (68°F to 77°F).", "Store at 2°C to 8°C (36°F to 46°F)."),
        ("storage", "Store at 2-8°C (36-46°F).", "Store at 20-25°C (68-77°F)."),
        ("food", "Take examplol with or without food.", "Take examplol only with food."),
        ("contraindication", "Examplol is contraindicated in asthma.", "Examplol is not contraindicated in asthma."),
        ("pediatric", "Safety has not been established.", "Safety has been established."),
        ("pregnancy", "Examplol may cause fetal harm.", "Examplol will not cause fetal harm."),
        ("drug-class", "Examplol is an opioid agonist.", "Examplol is an opioid antagonist."),
        ("metabolism", "Examplol is metabolized by CYP3A4.", "Examplol is metabolized by CYP2D6."),
        ("starting-dose", "The starting dose is 5 mg twice daily.", "The starting dose is 5 mg four times daily."),
        ("starting-dose", "The starting dose is 3.125 mg.", "The starting dose is 6.25 mg."),
        ("warning", "An increased risk of stroke has been seen.", "A decreased risk of stroke has been seen."),
    ],
)
def test_the_slot_that_was_asked_for_is_edited_in_step(kind: str, sentence: str, rejected: str) -> None:
    assert rejected in [edit.text for edit in edits(sentence, context=sentence, drug="examplol", kind=kind)]


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("recommended-dose", "The dose is 600 mg (three 200 mg tablets) daily."),  # the bracket would still say 600 mg
        ("recommended-dose", "The dose is 10 mg, 20 mg or 40 mg."),
        ("recommended-dose", "The dose is 720 mg twice daily (1,440 mg total daily dose)."),
        ("common-reactions", "The most common adverse reaction was nausea (12%)."),  # the share was not asked for
        ("indication", "Examplol is indicated for asthma."),
        ("warning", "Because of an increased risk of bleeding, examplol should be avoided."),  # the opposite is absurd
        ("storage", "Store at 25°C (77°F); excursions permitted to 15°C to 30°C (59°F to 86°F)."),
        ("pregnancy", "There are no studies in pregnant women. Examplol passes into milk."),
        ("mechanism", "Examplol is an agonist/antagonist of the receptor."),
        ("contraindication", "Examplol is contraindicated in:\n- asthma\n- gout"),
        ("pregnancy", "Examplol can cause fetal harm and is contraindicated in pregnancy."),  # two things are said
        ("urinary-excretion", "Less than 0.1% of the dose was recovered in urine."),  # less than half of it as well
    ],
)
def test_what_cannot_be_edited_alone_is_left_alone(kind: str, sentence: str) -> None:
    assert edits(sentence, context=sentence, drug="examplol", kind=kind) == []


def test_an_edit_that_the_label_also_states_is_no_wrong_answer() -> None:
    sentence = "The recommended dose of examplol is 10 mg daily."
    context = f"{sentence} In severe cases 20 mg is given."
    values = {edit.after for edit in edits(sentence, context=context, drug="examplol", kind="recommended-dose")}
    assert values == {"5 mg"}


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
