"""The audit's classes of fault, each on both sides: asked rightly, or not asked. Every input is our own."""

import pytest

from posology.curation.domain import Section
from posology.curation.recipe import Style
from posology.curation.teachers import Draft, Task
from posology.curation.teachers.extractive import ExtractiveTeacher


def section(code: str, text: str, *, title: str = "", drug: str = "examplol") -> Section:
    return Section(f"s-{code}-{title}", drug, "set", code, title, text, "a.xml", drug, ("VELTORAN",))


def facts(code: str, text: str, *others: Section, title: str = "", drug: str = "examplol") -> dict[str, Draft]:
    """The drafts of one section that are no fillers, by their question."""
    one = section(code, text, title=title, drug=drug)
    (answer,) = ExtractiveTeacher().teach([Task(one, others)])
    return {d.prompt[-1].content: d for d in answer.drafts if not d.filler}


def kinds(code: str, text: str, *others: Section) -> set[str]:
    return {d.question_type for d in facts(code, text, *others).values()}


@pytest.mark.parametrize(
    ("code", "text", "never"),
    [
        ("43682-4", "In patients with Child-Pugh class A cirrhosis, exposure to examplol rose.", "pediatric"),
        ("34084-4", "Examplol raises blood lactate in some patients.", "lactation"),
        ("34088-5", "Signs include nausea, renal insufficiency and coma. Treatment is supportive.", "renal"),
    ],
)
def test_another_section_never_answers_for_a_group(code: str, text: str, never: str) -> None:
    assert never not in kinds(code, text)


def test_a_groups_own_section_answers_whole() -> None:
    (draft,) = facts("34081-0", "Safety of examplol in children has not been established.").values()
    assert draft.question_type == "pediatric"
    assert "pediatric patients" in draft.prompt[0].content


def test_a_negated_storage_condition_keeps_its_negation() -> None:
    drafts = facts("44425-7", "Do not store examplol above 30 °C.").values()
    assert all("Do not store" in d.answer for d in drafts)


def test_a_list_is_joined_to_its_stem() -> None:
    text = "VELTORAN is contraindicated in patients with any of the following:\n- active bleeding\n- severe asthma"
    (draft,) = facts("34070-3", text).values()
    assert draft.answer.startswith("VELTORAN (examplol) is contraindicated")
    assert "- active bleeding\n- severe asthma" in draft.answer


def test_a_flat_list_whose_items_cannot_be_told_apart_is_not_asked() -> None:
    text = "VELTORAN is contraindicated in: Severe bradycardia Heart block Sick sinus syndrome Cardiogenic shock."
    assert not facts("34070-3", text)


def test_what_must_not_be_combined_is_never_the_drug_itself() -> None:
    drafts = facts("34073-7", "Avoid concomitant use of strong CYP3A inhibitors with VELTORAN.")
    assert "VELTORAN (examplol)" in next(iter(drafts.values())).answer
    assert not any(d.answer == "The answer is Veltoran." for d in drafts.values())


def test_a_metabolites_half_life_is_not_the_drugs() -> None:
    assert "half-life" not in kinds("43682-4", "The half-life of the active metabolite of examplol is 20 hours.")
    assert "half-life" in kinds("43682-4", "The half-life of examplol is 7 hours.")


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("Examplol is an antibody-drug conjugate.", "antibody-drug conjugate"),
        ("Examplol is an opioid agonist/antagonist.", "agonist/antagonist"),
    ],
)
def test_a_class_is_never_cut(text: str, whole: str) -> None:
    assert all(whole in d.answer for d in facts("34089-3", text).values())


def test_several_strengths_are_all_named() -> None:
    drafts = facts("43678-2", "Examplol tablets: 10 mg, 20 mg or 40 mg.")
    assert all("10 mg, 20 mg or 40 mg" in d.answer for d in drafts.values())


def test_treatment_is_not_a_sign_and_a_reason_to_stop_is_not_the_commonest() -> None:
    assert "overdose-signs" not in kinds("34088-5", "Treatment of overdosage consists of general supportive measures.")
    stopped = "The most common adverse reactions leading to discontinuation of examplol were rash and fatigue."
    assert "common-reactions" not in kinds("34084-4", stopped)
    common = "The most common adverse reactions (≥20%) with examplol were rash and fatigue."
    assert any("(≥20%)" in question for question in facts("34084-4", common))


def test_a_reference_between_two_sentences_does_not_glue_them() -> None:
    text = "Monitor patients for bleeding. ( 5.1 ) Higher mortality was seen with examplol. ( 5.2 )"
    assert not any("( 5.1 )" in d.answer for d in facts("43685-7", text).values())


@pytest.mark.parametrize(
    "text",
    [
        "Patient Population Recommended Dosage Adults 600 mg Children 300 mg Renal Impairment 150 mg of examplol.",
        "The dose of examplol is as follows. See Table 3 for the recommended dose of 5 mg in children.",
        "Examplol is given.. It works.",
    ],
)
def test_flattened_tables_and_residue_are_not_asked(text: str) -> None:
    assert not facts("34068-7", text)


def test_a_boxed_warnings_heading_is_split_from_its_first_sentence() -> None:
    drafts = facts("34066-1", "WARNING: SEVERE BLEEDING VELTORAN can cause fatal bleeding.")
    answers = [d.answer for d in drafts.values()]
    assert "VELTORAN (examplol) can cause fatal bleeding." in answers
    assert "The boxed warning of examplol is headed “WARNING: SEVERE BLEEDING”." in answers


@pytest.mark.parametrize(
    ("text", "in_question", "in_answer"),
    [
        (
            "In patients with severe renal impairment, the recommended dose of examplol is 5 mg once daily.",
            "severe renal impairment",
            "5 mg once daily",
        ),
        ("The recommended dose of examplol is 50 mg every 12 hours.", "recommend", "50 mg every 12 hours"),
        (
            "The recommended dose of examplol for hypertension is 10 mg orally.",
            "for hypertension",
            "10 mg orally",
        ),
        ("The usual adult dose of examplol is 7 mg.", "in adults", "7 mg"),
    ],
)
def test_condition_population_and_frequency_stand_in_question_or_answer(
    text: str, in_question: str, in_answer: str
) -> None:
    doses = {q: d for q, d in facts("34068-7", text).items() if d.question_type == "recommended-dose"}
    ((question, draft),) = doses.items()
    assert in_question in question
    assert in_answer in draft.answer


def test_two_doses_without_a_condition_are_not_asked_for_as_one() -> None:
    text = (
        "The recommended starting dose of examplol is 4.2 mg before chemotherapy. "
        "The recommended starting dose of examplol is 2.1 mg for anorexia."
    )
    assert "starting-dose" not in kinds("34068-7", text)


def test_a_dose_under_a_heading_is_asked_for_with_it() -> None:
    text = "2.1 Pediatric Hypertension The recommended dose of VELTORAN is 5 mg once daily."
    questions = [q for q, d in facts("34068-7", text).items() if d.question_type == "recommended-dose"]
    assert all("Pediatric Hypertension" in question for question in questions)


@pytest.mark.parametrize("drug", ["", "a1b2c3d4-0000-0000-0000-000000000000", "label.xml"])
def test_a_label_without_a_name_is_not_asked_about(drug: str) -> None:
    assert not facts("34070-3", "It is contraindicated in asthma and it must not be used.", drug=drug)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("34067-9", "VELTORAN is indicated for the treatment of gout in adults."),
        ("34070-3", "Known hypersensitivity is a condition in which it should not be used."),
        ("44425-7", "Store at 20°C to 25°C. Protect from light."),
        ("34081-0", "Safety in children has not been established."),
    ],
)
def test_question_and_answer_name_the_same_drug(code: str, text: str) -> None:
    drafts = facts(code, text)
    assert drafts
    assert all("examplol" in question and "examplol" in d.answer for question, d in drafts.items())


def test_a_field_that_holds_another_sections_text_is_not_asked() -> None:
    assert not facts("34079-4", "It is not known whether examplol passes into human milk, so caution is advised.")


def test_rows_of_a_dosing_table_are_asked_with_caption_and_headers() -> None:
    text = (
        "| Table 1: Dosage in Renal Impairment |\n| Creatinine clearance | Recommended dose |\n"
        "| 30 to 59 mL/min | 10 mg daily |\n| Below 30 mL/min | 5 mg daily |"
    )
    answers = {q: d.answer for q, d in facts("34068-7", text).items()}
    (low,) = [answer for question, answer in answers.items() if "Below 30 mL/min" in question]
    assert "5 mg daily" in low
    assert all("Dosage in Renal Impairment" in question for question in answers)


def answers(code: str, text: str, *others: Section, title: str = "") -> str:
    return "\n".join(d.answer for d in facts(code, text, *others, title=title).values())


@pytest.mark.parametrize(
    ("flat", "right"),
    [
        ("Examplol acts as an agonist at D 2 and 5-HT 1A receptors.", "at D2 and 5-HT1A receptors"),
        ("Examplol is a long-acting beta 2 -adrenergic agonist.", "beta2-adrenergic agonist"),
        ("Examplol is an antagonist of the α 1 -adrenergic receptor in vessels.", "α1-adrenergic"),
        ("Examplol inhibits the kinase with an IC 50 below 2 nM in cells.", "IC50 below 2 nM"),
        ("Examplol binds the platelet receptor for life- threatening clots of vessels.", "life-threatening"),
    ],
)
def test_lowered_characters_and_broken_hyphens_are_put_together(flat: str, right: str) -> None:
    assert right in answers("43679-0", flat)


@pytest.mark.parametrize(
    "residue",
    [
        "VELTORAN can be given for disseminatedMycobacterium infection in adults.",
        "VELTORAN is contraindicated in the following conditions:urinary retention in adults.",
        'VELTORAN is a tablet with "" on one side and a line on the other, indicated for gout.',
        "The patients on VELTORAN are (including all) were treated for gout.",
    ],
)
def test_words_that_ran_together_are_not_asked(residue: str) -> None:
    assert not facts("34067-9", residue)


def test_a_spaced_reference_is_a_reference() -> None:
    text = "No dose adjustment of VELTORAN is needed in renal impairment [s ee Clinical Pharmacology (12. 6)]."
    assert "[" not in answers("88828-9", text)


def test_the_first_page_says_nothing_twice() -> None:
    text = (
        "VELTORAN is a bispecific engager of two receptors indicated for gout in adults with tophi. ( 1.1 )\n"
        "1.1 Gout VELTORAN is indicated for gout in adults with tophi."
    )
    assert answers("34067-9", text).count("gout in adults with tophi") == 1


def test_a_note_to_one_indication_stays_behind_it() -> None:
    text = (
        "VELTORAN is a blocker indicated for: Gout in adults. ( 1.1 ) "
        "This indication is approved under accelerated approval. ( 1.1 )\n"
        "1.1 Gout VELTORAN is indicated for gout in adults. This indication is approved under accelerated approval.\n"
        "1.2 Fever VELTORAN is indicated for fever in adults."
    )
    stated = answers("34067-9", text)
    assert "accelerated" not in stated or stated.index("gout") < stated.index("accelerated") < stated.index("fever")


def test_items_with_other_numbers_are_other_items() -> None:
    text = (
        "Examplol tablets:\n- 100 mg: round tablets marked with 10 on one side\n"
        "- 400 mg: round tablets marked with 40 on one side"
    )
    stated = answers("43678-2", text)
    assert not stated or ("100 mg" in stated and "400 mg" in stated)


def test_an_item_glued_behind_another_is_said_once() -> None:
    text = (
        "VELTORAN is contraindicated in:\n- Patients with G6PD deficiency of the blood\n"
        "- Patients with hypersensitivity to it Patients with G6PD deficiency of the blood"
    )
    assert answers("34070-3", text).count("G6PD") <= 1


@pytest.mark.parametrize("heading", ["Note", "Important", "Notes"])
def test_a_dose_under_a_heading_that_says_nothing_is_not_asked(heading: str) -> None:
    text = (
        f"2.1 {heading} The usual dosage is 10 mg VELTORAN every four weeks.\n"
        "2.2 Gout The recommended dose of VELTORAN is 5 mg."
    )
    assert "10 mg" not in "\n".join(d.answer for d in facts("34068-7", text).values() if "dose" in d.question_type)


def test_a_line_of_the_first_page_is_asked_as_what_it_is() -> None:
    text = (
        "Lactation: Advise women not to breastfeed. ( 8.2 ) Renal Impairment: Reduce the dose. ( 8.6 )\n"
        "8.2 Lactation Risk Summary There are no data on VELTORAN in milk. "
        "Do not breastfeed for 7 days after the last dose.\n"
        "8.6 Renal Impairment Reduce the dose of VELTORAN to 5 mg in severe renal impairment."
    )
    for question, draft in facts("43684-0", text).items():
        assert "highlights" in question or "Advise women" not in draft.answer
        assert "Renal Impairment:" not in draft.answer


def test_what_is_not_teratogenic_is_not_asked_as_teratogenic() -> None:
    assert not facts("34077-8", "Nonteratogenic Effects Neonates exposed to examplol late are at risk for withdrawal.")
    assert facts(
        "34077-8", "Teratogenic Effects Examplol is known to cause defects in the fetuses of rats at high doses."
    )


def test_a_table_without_a_caption_gives_no_dose() -> None:
    rows = "| Creatinine Clearance | Recommended Daily Dose |\n| --- | --- |\n| 10 to 20 mL/min | 200 mg/day |"
    assert not [d for d in facts("34068-7", rows).values() if "200 mg" in d.answer]


def test_uses_stand_below_what_they_belong_to() -> None:
    purpose = section("55105-1", "Antacid", title="Purpose")
    stated = answers("34067-9", "- relieves\n- heartburn\n- sour stomach", purpose)
    assert "relieves:\n- heartburn\n- sour stomach" in stated


@pytest.mark.parametrize(
    "first_page",
    [
        "Most common adverse reactions (incidence ≥5%): nausea and fever ( 6.1 ). To report it call.",
        "The most common adverse reactions (those that occurred in at least 20% of patients and more often than on "
        "placebo) were nausea and fever ( 6.1 ). To report it call.",
        "The most common adverse reactions (≥25%) are nausea, fever and ECG abnormalities. ( 6.1 ) To report it call.",
        "Others are rare. •Most common adverse reactions (> 10%) are nausea and fever. (6) To report it call.",
        "Headache, which may be severe, is the most commonly reported side effect.",
    ],
)
def test_the_commonest_reactions_are_found_however_the_first_page_lists_them(first_page: str) -> None:
    assert "common-reactions" in kinds("34084-4", first_page)


@pytest.mark.parametrize(
    "listed",
    [
        "Gout : Most common adverse reactions (≥25%) are nausea, dry mouth, and fever. ( 6.1 ) To report it call.",
        "Most common adverse reactions are: Adults: nausea and fever. Children: vomiting. ( 6.1 ) To report it call.",
        "The most common laboratory abnormalities were low sodium, low potassium, and anemia.",
    ],
)
def test_reactions_of_a_group_or_of_the_laboratory_are_not_everybodys(listed: str) -> None:
    assert "common-reactions" not in kinds("34084-4", listed)


@pytest.mark.parametrize(
    ("text", "dose"),
    [
        ("The recommended dose of VELTORAN is a 125 mg capsule taken orally once daily.", "125 mg capsule"),
        ("The recommended dosage of VELTORAN is one tablet, taken orally, once daily with food.", "one tablet"),
        ("The usual starting dose for adult patients with gout is 50 mg three times a day.", "50 mg three times a day"),
        (
            "The recommended dosage of VELTORAN is 120 mg once daily with or without food. ( 2.1 )\n"
            "2.1 Recommended Dosage The recommended dosage of VELTORAN is 120 mg orally once daily until progression.",
            "120 mg",
        ),
    ],
)
def test_a_dose_is_read_in_each_of_its_wordings(text: str, dose: str) -> None:
    assert any(dose in d.answer and "dose" in d.question_type for d in facts("34068-7", text).values())


@pytest.mark.parametrize(
    "text",
    [
        "Premedicate first. The recommended dose for patients is 10 mg once daily.",
        "VELTORAN is given in combination with others. The usual dose in adults is 5 mg.",
        "The recommended dose of VELTORAN is 1 mg daily. The recommended dose of VELTORAN is 0.5 mg daily.",
    ],
)
def test_a_dose_that_may_be_another_drugs_or_one_of_two_is_not_asked(text: str) -> None:
    assert not [d for d in facts("34068-7", text).values() if "dose" in d.question_type]


def test_directions_in_cells_are_read_row_by_row() -> None:
    other = section("55105-1", "Pain reliever", title="Purpose")
    text = "- take daily\n| adults and children 12 years and over | • take 2 caplets; • do not take more than 6 | |"
    assert "12 years and over: take 2 caplets; do not take more than 6" in answers("34068-7", text, other)


@pytest.mark.parametrize(
    "glued",
    [
        "During VELTORAN Treatment Monitor for fever every two weeks and as indicated.",
        "A have mutations in the gene of the enzyme that VELTORAN replaces.",
    ],
)
def test_a_sentence_with_the_rest_of_a_heading_is_not_asked(glued: str) -> None:
    assert not facts("43679-0", glued)


def test_ions_and_names_with_hyphens_are_put_together() -> None:
    stated = answers("43679-0", "Examplol inhibits the (H +, K +)-ATPase of the stomach and so lowers its acid.")
    assert "(H+, K+)-ATPase" in stated


def test_a_dose_below_the_heading_of_a_group_needs_its_drug() -> None:
    text = "2.1 Gout Give it daily.\nChildren The total daily dose should not exceed 1600 mg in divided doses."
    assert not [d for d in facts("34068-7", text).values() if d.question_type == "maximum-dose"]


def test_a_heading_that_a_verb_cut_in_two_is_not_asked() -> None:
    text = "7.1 Agents That May Decrease Examplol Plasma Levels Effect of Inducers Avoid use of inducers with VELTORAN."
    assert not any("“Agents That May”" in question for question in facts("34073-7", text))


def test_strengths_that_ran_together_are_not_asked() -> None:
    assert not facts(
        "43678-2", "For injection: 300 mg of powder in:single-dose syringesingle-dose vial The powder is white."
    )


def test_chapters_in_brackets_are_references() -> None:
    text = "VELTORAN should be avoided in renal impairment [Warnings and Precautions and Clinical Pharmacology]."
    assert answers("88828-9", text)
    assert "[" not in answers("88828-9", text)
    kept = "No dosage adjustment of VELTORAN is needed in adults with renal impairment [30 to 89 mL/min]."
    assert "[30 to 89 mL/min]" in answers("88828-9", kept)


def test_storage_of_two_products_is_not_one_answer() -> None:
    text = (
        "Do not freeze. Discard the infusion solution after 4 hours. Store VELTORAN vials at 2°C to 8°C (36°F to 46°F)."
    )
    assert not [q for q, d in facts("44425-7", text).items() if "infusion" in d.answer and "How should" in q]
    assert facts("44425-7", "Store VELTORAN vials at 2°C to 8°C (36°F to 46°F). Do not freeze.")


def test_a_dose_of_some_patients_is_not_the_dose() -> None:
    some = "The recommended initial dose of VELTORAN is 10 mg/day for elderly patients and for women."
    assert not [d for d in facts("34068-7", some).values() if "dose" in d.question_type]
    asked_rightly = facts("34068-7", "The recommended dose of VELTORAN in adults is 10 mg daily.")
    assert any("in adults" in question and "dose" in d.question_type for question, d in asked_rightly.items())


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("43682-4", "Examplol is extensively metabolized by the liver and less than 10% is found in urine."),
        ("44425-7", "Store VELTORAN vials in the carton at 2°C to 8°C until use."),
    ],
)
def test_a_short_answer_holds_nothing_beside_the_value(code: str, text: str) -> None:
    teacher = ExtractiveTeacher(style=Style.OPEN_BOOK)
    (answer,) = teacher.teach([Task(section(code, text), ())])
    assert not [d for d in answer.drafts if not d.filler]
