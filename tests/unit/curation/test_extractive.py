"""The embedded teacher: deterministic, many question types, answers in the label's own words."""

import pytest

from posology.curation.domain import Section
from posology.curation.recipe import Style
from posology.curation.teachers import Answer, Draft, Task
from posology.curation.teachers.extractive import QUESTION_TYPES, ExtractiveTeacher
from posology.curation.text.normal import sentences, without_references
from posology.curation.text.questions import bare_question, is_open_book
from posology.curation.text.repair import plain_text


def section(code: str, text: str, *, drug: str = "examplol") -> Section:
    return Section(f"s-{code}", drug, "set", code, "Title", text, "a.xml", drug)


DOSAGE = section(
    "34068-7",
    "The recommended starting dose of Examplol is 5 mg twice daily [see Warnings (5.1)]. "
    "The maximum dose of Examplol is 40 mg per day. Examplol should be taken with food. It may be increased slowly. "
    "Patients with severe renal impairment should receive 2.5 mg once daily.",
)
PHARMACOLOGY = section(
    "43682-4",
    "The half-life of Examplol is about 7 hours. The bioavailability of Examplol is 45%. "
    "Examplol is 98% bound to plasma proteins. About 60% of the dose is excreted in urine.",
)
STORAGE = section("44425-7", "Store Examplol at 20°C to 25°C.")


def taught(*given: Section, **options: object) -> list[Answer]:
    teacher = ExtractiveTeacher(**{"per_section": 100} | options)  # type: ignore[arg-type]
    return list(teacher.teach([Task(s, tuple(other for other in given if other != s)) for s in given]))


def drafts(*given: Section, **options: object) -> list[Draft]:
    return [draft for answer in taught(*given, **options) for draft in answer.drafts]


def short_answers(*given: Section) -> dict[str, str]:
    found = drafts(*given, style=Style.OPEN_BOOK)
    return {d.question_type.removeprefix("open-book/"): d.answer for d in found if d.question_type != "open-book/gap"}


def test_the_same_section_and_seed_give_the_same_drafts_and_order_does_not_matter() -> None:
    one, other = drafts(DOSAGE, PHARMACOLOGY), drafts(DOSAGE, PHARMACOLOGY)
    assert one == other
    assert {str(d) for d in drafts(PHARMACOLOGY, DOSAGE)} == {str(d) for d in one}
    assert drafts(DOSAGE, seed=1) != drafts(DOSAGE, seed=2)


def test_facts_are_asked_for_by_name_and_answered_by_the_whole_sentence() -> None:
    found = {d.question_type: d for d in drafts(DOSAGE)}
    assert found["maximum-dose"].answer == "The maximum dose of Examplol is 40 mg per day."
    assert "Examplol" in found["maximum-dose"].prompt[0].content
    assert len({d.question_type for d in drafts(DOSAGE, PHARMACOLOGY)}) >= 9


def test_short_answers_are_the_values_alone() -> None:
    found = short_answers(DOSAGE, PHARMACOLOGY, STORAGE)
    assert found["starting-dose"] == "The answer is 5 mg twice daily."
    assert found["half-life"] == "The answer is about 7 hours."
    assert found["bioavailability"] == "The answer is 45%."
    assert found["protein-binding"] == "The answer is 98%."
    assert found["urinary-excretion"] == "The answer is 60%."
    assert found["storage"] == "The answer is at 20°C to 25°C."
    assert found["food"] == "The answer is with food."


def test_an_open_book_question_brings_the_evidence_among_distractors() -> None:
    found = [d for d in drafts(DOSAGE, PHARMACOLOGY, style=Style.OPEN_BOOK) if d.question_type == "open-book/half-life"]
    assert len(found) == 3
    assert len({bare_question(d.prompt[0].content) for d in found}) == 3
    for draft in found:
        text = draft.prompt[0].content
        assert is_open_book(text)
        assert draft.evidence in text
        assert len(sentences(text.split("\n")[0])) >= 2


def test_answers_never_hold_a_cross_reference_and_evidence_is_always_the_labels() -> None:
    for draft in drafts(DOSAGE, PHARMACOLOGY):
        source = plain_text(DOSAGE.text) + plain_text(PHARMACOLOGY.text)
        assert "see Warnings" not in draft.answer
        assert all(line in source for line in draft.evidence.split("\n"))


def test_statements_to_check_are_answered_yes_or_no_and_a_no_edits_one_fact() -> None:
    texts = [section("34068-7", f"The dose of examplol for group {n} is {n + 3} mg daily.") for n in range(40)]
    found = [d for s in texts for d in drafts(s, question_types=("check",))]
    verdicts = [d.answer.split(".")[0] for d in found]
    assert 8 <= verdicts.count("No") <= 32
    for draft in found:
        said = draft.prompt[0].content.split('"')[1]
        stated = draft.answer.split(". ", 1)[1]
        assert (said == stated) == draft.answer.startswith("Yes")


def test_a_question_with_two_answers_in_one_section_is_not_asked() -> None:
    text = "The half-life of Examplol is 7 hours. In children the half-life of Examplol is 12 hours."
    asked = {bare_question(d.prompt[0].content): d.answer for d in drafts(section("43682-4", text))}
    halves = {q: a for q, a in asked.items() if "half-life" in q and "missing" not in q and "said to" not in q}
    assert all("in children" in question for question in halves)
    assert list(halves.values()) == ["In children the half-life of Examplol is 12 hours."]


def test_sentences_that_lean_on_others_are_no_closed_book_answers() -> None:
    assert not any(d.answer.startswith("It ") for d in drafts(DOSAGE) if d.question_type != "summary")


@pytest.mark.parametrize("kind", ["half-life", "gap", "check"])
def test_question_types_can_be_chosen(kind: str) -> None:
    assert {d.question_type for d in drafts(PHARMACOLOGY, question_types=(kind,))} <= {kind}
    assert kind in QUESTION_TYPES


def test_tables_and_headings_and_addresses_are_not_asked_about() -> None:
    text = (
        "| Dose | 10 mg |\n5.1 Hepatotoxicity\nCall 1-800-555-0100 to report a dose of 10 mg.\nSee Table 3 for 10 mg."
    )
    assert not drafts(section("34068-7", text))


@pytest.mark.parametrize(
    ("sentence", "plain"),
    [
        ("Reduce the dose [see Dosage (2.3) and Warnings (5.1)].", "Reduce the dose."),
        ("Reduce the dose (5.1, 7) in adults.", "Reduce the dose in adults."),
        ("Give 5 mL (10 mg) daily.", "Give 5 mL (10 mg) daily."),
    ],
)
def test_cross_references_go_and_doses_in_brackets_stay(sentence: str, plain: str) -> None:
    assert without_references(sentence) == plain


def test_sentences_are_not_cut_at_abbreviations_or_decimals() -> None:
    text = "Doses (e.g. 2.5 mg) vs. placebo were given. Dr. Smith saw approx. 3 patients. End."
    assert len(sentences(text)) == 3
