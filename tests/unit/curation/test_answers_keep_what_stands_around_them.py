"""What stands around a sentence belongs to its answer: headings, figures elsewhere, capitals, mixtures."""

import pytest

from posology.curation.domain import Section
from posology.curation.recipe import Style
from posology.curation.sources import FORMATS, Document
from posology.curation.teachers import Draft, Task
from posology.curation.teachers.extractive import ExtractiveTeacher
from posology.curation.teachers.facts import lacks_a_figure
from posology.curation.text.edits import edits
from posology.curation.text.fluency import flaw
from posology.curation.text.repair import plain_text


def section(code: str, text: str, *, title: str = "", drug: str = "examplol") -> Section:
    return Section(f"s-{code}-{title}", drug, "set", code, title, text, "a.xml", drug, ("VELTORAN",))


def drafts(one: Section, *others: Section, style: Style = Style.SENTENCES) -> list[Draft]:
    (answer,) = ExtractiveTeacher(style=style).teach([Task(one, others)])
    return [d for d in answer.drafts if not d.filler]


def pairs(one: Section, *others: Section) -> dict[str, str]:
    return {d.prompt[-1].content: d.answer for d in drafts(one, *others)}


DOSE = "The recommended dosage of VELTORAN is 40 mg taken orally once daily."
OTHER = "2.5 Missed Doses Do not take two doses at once. Titrate every 7 days | to 80 mg | as tolerated."


def quotes(text: str) -> dict[str, str]:
    return {q: a for q, a in pairs(section("34068-7", text)).items() if q.startswith("Name one dosage")}


def test_one_dosage_of_several_is_named_as_one() -> None:
    rest = "2.2 Titration\nTitrate to the recommended dose of 80 mg as in Table 4"
    text = f"2.1 Recommended Dosage\n{DOSE} The schedule is in Table 4.\n{rest}"
    (answer,) = quotes(text).values()
    assert answer == "The recommended dosage of VELTORAN (examplol) is 40 mg taken orally once daily."


def test_a_heading_too_long_to_be_named_may_narrow_a_dose() -> None:
    heading = (
        "Dosage in Adult Patients with Chronic, Accelerated or Blast Phase Leukemia with Resistance or Intolerance to "
        "Prior Therapy"
    )
    text = f"2.1 {heading}\n{DOSE}\n2.2 Titration\nTitrate to the recommended dose of 80 mg as in Table 4"
    assert not [q for q in pairs(section("34068-7", text)) if "Titration" not in q]


def test_a_quoted_dose_says_what_its_heading_says() -> None:
    text = f"2.1 Dosage in Patients with Gout\n{DOSE}\n{OTHER} See Table 4. The usual dose in migraine is 20 mg daily."
    for question, answer in quotes(text).items():
        assert "Gout" in question or "gout" in answer or "migraine" in answer


@pytest.mark.parametrize(
    "sentence",
    [
        "Discontinue VELTORAN if there is no response to the maximum daily dose of 75 mg.",
        "If the inhibitor is stopped, increase VELTORAN to the recommended dose of 500 mg once daily.",
        "The recommended dosage of VELTORAN may be delivered as 2 x 50 mg tablets or as 10 x 10 mg tablets.",
        "A starting dose of 5 mg of VELTORAN might be appropriate for persons of small stature.",
        "The recommended dose of VELTORAN is 12 mg per injection Initiate VELTORAN with 4 loading doses.",
        "The recommended dose of VELTORAN in elderly patients and in severe renal impairment is 10 mg daily.",
    ],
)
def test_a_sentence_that_only_mentions_a_dose_is_not_quoted_as_the_dose(sentence: str) -> None:
    assert not quotes(f"{sentence} See the table below for titration: 10 mg | 20 mg\nTable 3 lists 5 mg.")


def test_the_dose_of_a_group_is_quoted_as_that_groups() -> None:
    text = (
        "The recommended dosage of VELTORAN for patients with severe renal impairment is 10 mg taken once daily. "
        "Titrate as in Table 2 below, up to 80 mg. Other patients start with 20 mg"
    )
    assert all("in renal impairment" in q for q in quotes(text))


def test_what_a_dose_is_combined_with_stands_beside_it() -> None:
    text = f"{DOSE} VELTORAN is given in combination with ribavirin for 12 weeks in Table 1 below."
    assert not quotes(text)


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("Reduce the dose of VELTORAN in patients with severe renal impairment.", True),
        ("Dosage adjustment of VELTORAN is recommended in patients with moderate renal impairment.", True),
        ("Reduce the dosing frequency in patients with severe hepatic impairment.", True),
        ("The dose of VELTORAN should be adjusted in patients with renal impairment.", True),
        ("Reduce the dose of VELTORAN in patients with renal impairment below 20 mL/min.", True),
        ("The maintenance dose of VELTORAN should be increased beside phenytoin.", True),
        ("Initiate VELTORAN at a lower starting dosage in these patients.", True),
        ("Reduce the dosage of VELTORAN to 200 mg twice daily in moderate renal impairment.", False),
        ("No dose adjustment is recommended in patients with mild renal impairment.", False),
        ("The dose should be reduced by approximately one-third in mild hepatic impairment.", False),
        ("Monitor for bleeding and reduce the dose further, if needed.", False),
        ("VELTORAN reduces the risk of stroke in patients with renal impairment.", False),
        ("Increased bleeding was seen at higher doses.", False),
    ],
)
def test_a_change_of_the_dose_needs_its_figure(text: str, lacking: bool) -> None:
    assert lacks_a_figure(text) is lacking
    asked = pairs(section("43684-0", f"8.6 Renal Impairment\n{text}", title="Use in Specific Populations"))
    if lacking and "renal" in text:
        assert not asked


@pytest.mark.parametrize(
    "more",
    ["PROTECT FROM LIGHT Made by Example Inc.", "KEEP UPRIGHT", "Opened bottles keep 14 days", "At 2°C for the kit"],
)
def test_no_word_on_keeping_is_left_out_however_it_is_printed(more: str) -> None:
    kept = section("44425-7", f"STORAGE Store at 20°C to 25°C (68°F to 77°F). {more}", title="Storage and Handling")
    assert not [q for q in pairs(kept) if q.startswith("How should")]


def test_storage_is_asked_of_the_section_when_another_says_how_the_mixture_is_kept() -> None:
    kept = section("44425-7", "Store VELTORAN refrigerated at 2°C to 8°C.", title="Storage and Handling")
    mixed = section("34068-7", "Store the diluted solution at room temperature for up to 4 hours.")
    assert set(pairs(kept)) == {"How should examplol be stored?"}
    (question,) = pairs(kept, mixed)
    assert question == "What does the section “Storage and Handling” of the label of examplol say on storage?"


@pytest.mark.parametrize(
    "text",
    [
        "VELTORAN is indicated in the: 1.",
        "VELTORAN is indicated in combination with: capecitabine for the treatment of breast cancer.",
        "VELTORAN is indicated for: VELTORAN is an estrogen indicated for: The treatment of hot flushes.",
        "VELTORAN is indicated: To reduce the risk of myocardial infarction in adults.",
        "VELTORAN is an antibody indicated for the treatment of:\n• Melanoma\n• adults with unresectable melanoma.",
    ],
)
def test_a_list_cut_after_its_first_item_is_no_indication(text: str) -> None:
    long = " ".join(f"Refer to Table {n} for more on use number {n} | and its doses." for n in range(60))
    assert not pairs(section("34067-9", f"{text}\n{long}"))


def test_a_whole_indication_of_a_long_section_is_named() -> None:
    long = " ".join(f"Refer to Table {n} for more on use number {n} | and its doses." for n in range(60))
    text = "VELTORAN is indicated for the treatment of adults with gout either: alone, or with a uricosuric drug."
    assert pairs(section("34067-9", f"{text}\n{long}"))


def test_an_indication_does_not_stand_under_limitations_of_use() -> None:
    text = (
        "1.1 Limitations of Use VELTORAN is indicated for the treatment of adults with gout.\n"
        "1.2 Migraine VELTORAN is indicated for the treatment of migraine in adults. | a | b |\n"
    )
    assert not [q for q in pairs(section("34067-9", text)) if "Limitations" in q]


def test_headings_inside_an_answer_are_shown_all_or_none() -> None:
    text = (
        "8.1 Carcinogenesis\nCarcinogenesis studies of examplol were not conducted.\n"
        "8.2 Impairment of Fertility\nIn monkeys, examplol had no effects on sperm or estrus.\n"
    )
    for answer in pairs(section("34083-6", text, title="Toxicology")).values():
        assert ("Carcinogenesis:" in answer) == ("Impairment of Fertility:" in answer)


@pytest.mark.parametrize(
    ("printed", "clean"),
    [
        ("in end-stage renal disease [Clinical Pharmacology (12.3)].", "in end-stage renal disease."),
        ("a clearance (CL cr <10 mL/min)", "a clearance (CLcr <10 mL/min)"),
        ("given with alfentanil-N 2 O anesthesia", "given with alfentanil-N2O anesthesia"),
        ("cytochrome b 5 reductase and N- acetylglutamate", "cytochrome b5 reductase and N-acetylglutamate"),
        ("the 4 th dose follows the 3 rd", "the 4th dose follows the 3rd"),
    ],
)
def test_residue_of_references_and_lowered_letters_goes(printed: str, clean: str) -> None:
    assert plain_text(printed) == clean


@pytest.mark.parametrize(
    "text",
    [
        "The dose is 12 mg (5 mL) per administration Initiate treatment with 4 loading doses.",
        "Based on animal data, may cause fetal harm.",
        "Tablets are circular and debossed with the symbol, each containing 75 mg.",
        "Safety has been established pediatric patients 10 years of age and older.",
    ],
)
def test_glued_orders_and_lost_words_are_flaws(text: str) -> None:
    assert flaw(text)


def test_a_line_whose_subject_is_its_heading_is_not_asked() -> None:
    first_page = (
        "Renal Failure: Can cause severe renal failure in adults. ( 5.1 ) "
        "Bleeding: Monitor all patients for bleeding events. ( 5.2 )\n5.1 Renal Failure\n"
    )
    asked = pairs(section("43685-7", first_page, title="Warnings and Precautions"))
    assert not [q for q in asked if "Renal Failure" in q]
    assert [q for q in asked if "Bleeding" in q]


def test_a_text_under_the_code_of_boxed_warnings_needs_a_warning() -> None:
    text = "Healthcare providers must submit a report on all medication errors with VELTORAN."
    assert not pairs(section("34066-1", text, title="This authorization is for the use of VELTORAN"))
    assert pairs(section("34066-1", f"WARNING: ERRORS {text}", title="Boxed Warning"))


def test_a_consequence_is_not_turned_against_its_cause() -> None:
    text = "An increased risk of thrombosis, resulting in graft loss, has been reported with VELTORAN."
    assert not edits(text, context=text, drug="examplol", kind="warning")
    plain = "VELTORAN has an increased risk of thrombosis."
    assert edits(plain, context=plain, drug="examplol", kind="warning")


@pytest.mark.parametrize(
    ("written", "name"),
    [("Quellora<suffix>PM</suffix>", "Quellora PM"), ("Quellora<suffix/>", "Quellora"), ("Quellora", "Quellora")],
)
def test_the_suffix_of_a_brand_is_a_word_of_its_own(written: str, name: str) -> None:
    raw = (
        '<document xmlns="urn:hl7-org:v3"><setId root="s"/><component><structuredBody><component><section>'
        '<code code="34067-9"/><subject><manufacturedProduct><manufacturedProduct>'
        f"<name>{written}</name><asEntityWithGeneric><genericMedicine><name>examplol</name></genericMedicine>"
        "</asEntityWithGeneric></manufacturedProduct></manufacturedProduct></subject>"
        "<title>Uses</title><text><paragraph>For pain.</paragraph></text></section></component>"
        "</structuredBody></component></document>"
    )
    (parsed,) = FORMATS["SPL"].read(Document("a.xml", raw.encode()))
    assert parsed.label is not None
    assert parsed.label.brands == (name,)


def test_a_part_of_the_management_is_not_the_management_of_an_overdose() -> None:
    whole = "Protect the airway and start cardiac monitoring of the patient at once."
    rest = f"10.3 Table 9 | {'lists what was seen. See Table 9. ' * 40}"
    asked = pairs(section("34088-5", f"10.1 Pediatric Management\n{whole}\n{rest}"))
    assert not [q for q in asked if q.startswith("How is")]
    asked = pairs(section("34088-5", f"10.1 Recommended Management\n{whole}\n{rest}"))
    assert [q for q in asked if q.startswith("How is")]


@pytest.mark.parametrize(
    "heading", ["Effect of Other Drugs on VELTORAN UGT1A1 Inhibitors", "Treatment of Major Depression Adults"]
)
def test_two_headings_in_one_head_no_answer(heading: str) -> None:
    text = f"7.1 {heading}\nAvoid 80 mg of VELTORAN with these drugs at all times.\n"
    other = "7.2 Warfarin\nMonitor all patients who take warfarin.\n"
    assert not [a for a in pairs(section("34073-7", text + other)).values() if heading in a]
    assert not [q for q in pairs(section("34068-7", text + other)) if heading in q]


def test_a_boxed_warnings_heading_glued_to_its_text_keeps_its_last_word() -> None:
    text = "WARNING: DEATHS IN ELDERLY PATIENTS WITH PSYCHOSISElderly patients treated with VELTORAN die more often."
    asked = pairs(section("34066-1", text, title="Boxed Warning"))
    assert any("WITH PSYCHOSIS”" in answer for answer in asked.values())


def test_what_an_agonist_leads_to_is_not_said_of_an_antagonist() -> None:
    text = "Examplol is a receptor agonist that binds to cells to induce their growth."
    assert not edits(text, context=text, drug="examplol", kind="mechanism")


def test_a_category_glued_to_a_sentence_is_a_flaw() -> None:
    assert flaw("Category CThere are no studies of examplol in pregnant women.")


def test_a_flat_list_of_contraindications_is_told_item_by_item() -> None:
    text = (
        "VELTORAN is contraindicated in patients with: A history of hypersensitivity to examplol. Reactions have "
        "included angioedema. Sinus bradycardia or heart block. Severe hepatic impairment."
    )
    (answer,) = pairs(section("34070-3", text)).values()
    assert answer.split("\n- ")[1:] == [
        "A history of hypersensitivity to examplol. Reactions have included angioedema.",
        "Sinus bradycardia or heart block.",
        "Severe hepatic impairment.",
    ]


def test_the_number_of_a_heading_is_no_item() -> None:
    text = "4.1. Allergy VELTORAN is contraindicated in allergic patients. 4.2. Asthma Severe asthma of any kind."
    assert not [a for a in pairs(section("34070-3", text)).values() if "4.2." in a or "4.1." in a]


def test_what_points_to_another_chapter_is_no_whole_answer() -> None:
    text = "Signs of an overdose of VELTORAN are those listed under ADVERSE REACTIONS. Treatment is supportive."
    assert not pairs(section("34088-5", text))


def over_the_counter(code: str, text: str, title: str) -> dict[str, str]:
    return pairs(section(code, text, title=title), section("50570-1", "- if you are pregnant", title="Do not use"))


def test_children_alone_are_asked_for_alone() -> None:
    title = "Keep out of reach of children."
    (question,) = over_the_counter("50565-1", "Keep out of reach of children.", title)
    assert "overdose" not in question
    (question,) = over_the_counter("50565-1", "Keep out of reach of children. If swallowed, get medical help.", title)
    assert "overdose" in question


def test_directions_keep_their_lines_apart_and_need_no_chart() -> None:
    text = "shake well before use\nfind right dose on chart below\nadults: take 2 teaspoonfuls every 4 hours"
    (answer,) = over_the_counter("34068-7", text, "Directions").values()
    assert "chart" not in answer
    assert "use:" not in answer


def test_a_name_that_starts_a_sentence_without_its_stop_is_a_flaw() -> None:
    names = ("VELTORAN", "examplol")
    glued = "VELTORAN is indicated for nausea with radiotherapy to the abdomen VELTORAN is also indicated for vertigo."
    assert flaw(glued, names=names)
    assert not flaw("Use it in adults for whom VELTORAN is indicated and in whom it has helped.", names=names)


def test_reactions_of_two_groups_that_run_together_are_not_asked() -> None:
    page = (
        "Most common adverse reactions were: infection and constipation in patients with early disease {}pyrexia and "
    )
    page += "headache in patients with late disease. (6.1) To report SUSPECTED ADVERSE REACTIONS, contact us."
    glued = pairs(section("34084-4", page.format("")))
    assert not [q for q in glued if "highlights" in q]


def test_two_indications_whose_stop_got_lost_are_not_told_as_one() -> None:
    text = (
        "VELTORAN is indicated for nausea with: chemotherapy radiotherapy to the abdomen and in surgery it is also "
        "indicated for vomiting."
    )
    assert not pairs(section("34067-9", text))


def test_the_reactions_of_the_next_group_are_no_item_of_the_first_ones_list() -> None:
    page = (
        "Most common adverse reactions (>30%) by injection are:\n\u2022 nausea, anemia and pyrexia. (6.1)\n"
        "\u2022 Most common adverse reactions by infusion also included rigors and weakness. (6.1)\n"
        "To report SUSPECTED ADVERSE REACTIONS, contact us."
    )
    for answer in pairs(section("34084-4", page)).values():
        assert "- Most" not in answer


def test_a_single_commonest_reaction_is_asked() -> None:
    page = (
        "The most common adverse reaction (≥3%): headache. ( 6.1 ) To report SUSPECTED ADVERSE REACTIONS, contact us."
    )
    assert [q for q in pairs(section("34084-4", page)) if "highlights" in q]


def test_a_reduced_dose_is_not_made_a_greater_one() -> None:
    text = "In severe hepatic impairment, reduce the recommended dosage to 200 mg orally twice daily."
    assert not edits(text, context=text, drug="examplol", kind="dosing")


def test_half_of_what_sets_older_patients_apart_is_not_asked() -> None:
    text = (
        "Serious reactions in older patients were diarrhea and dehydration. No overall differences in effectiveness "
        "were observed between older and younger patients. Table 9: more | reactions | led to withdrawal:"
    )
    assert not [q for q in pairs(section("34082-8", text)) if q.startswith("Did")]


REFERENCE = "[see Dosage and Administration (2.7) and Warnings and Precautions (5.14)]"
EXPOSURE = (
    f"After a single 20 mg dose the exposure in hepatic impairment was 5 times that of healthy subjects {REFERENCE}."
)


@pytest.mark.parametrize(
    ("more", "asked"),
    [
        ("", False),
        (" The half-life was about 3 times longer.", False),
        (" The mean plasma clearance was about 15% that of healthy subjects.", False),
        (" Avoid use in patients with cirrhosis.", True),
        (" No dosage adjustment is needed in mild hepatic impairment.", True),
        (" VELTORAN has not been studied in severe hepatic impairment.", True),
        (" Reduce the dose to 10 mg daily in moderate hepatic impairment.", True),
    ],
)
def test_exposure_alone_is_not_all_that_a_label_says_of_the_impaired(more: str, asked: bool) -> None:
    assert bool(pairs(section("88829-7", EXPOSURE + more, title="Hepatic Impairment"))) is asked
    text = f"8.6 Hepatic Impairment\n{EXPOSURE}{more}\n8.7 Body Weight\nVELTORAN was the same in all body weights."
    said = [q for q in pairs(section("43684-0", text, title="Use in Specific Populations")) if "hepatic" in q]
    assert bool(said) is asked


def test_of_two_indications_under_one_heading_one_is_asked_for_as_one() -> None:
    first = "VELTORAN is indicated for the treatment of adults with moderate to severe gout in the first line."
    second = "VELTORAN is indicated for the treatment of adults with psoriasis together with a topical steroid."
    third = "VELTORAN is indicated for psoriasis in adults whose earlier treatment did not suffice, for one year."
    rest = "1.3 Other Uses\nTitrate to the recommended dose | as in Table 4"
    one = pairs(section("34067-9", f"1.1 Gout\n{first}\n1.2 Psoriasis\n{second}\n{rest}"))
    two = pairs(section("34067-9", f"1.1 Gout\n{first}\n1.2 Psoriasis\n{second} {third}\n{rest}"))
    assert [q for q in one if "Psoriasis" in q and q.startswith("What indication")]
    assert [q for q in two if "Psoriasis" in q] == [
        "Name one indication of examplol that its label states under the heading “Psoriasis”."
    ]
