"""An open question is answered by all that the label says on it, or scoped until a part is all, or not asked."""

import pytest

from posology.curation.domain import Section
from posology.curation.recipe import Style
from posology.curation.teachers import Draft, Task
from posology.curation.teachers.extractive import ExtractiveTeacher
from posology.curation.teachers.facts import clean_heading
from posology.curation.teachers.statements import _says_its_heading
from posology.curation.text.edits import edits
from posology.curation.text.fluency import flaw


def section(code: str, text: str, *, title: str = "", drug: str = "examplol", brands: tuple[str, ...] = ()) -> Section:
    return Section(f"s-{code}-{title}", drug, "set", code, title, text, "a.xml", drug, brands or ("VELTORAN",))


def drafts(one: Section, *others: Section, style: Style = Style.MIXED) -> list[Draft]:
    (answer,) = ExtractiveTeacher(style=style).teach([Task(one, others)])
    return [d for d in answer.drafts if not d.filler]


def of_kind(kind: str, one: Section, *others: Section) -> list[Draft]:
    return [d for d in drafts(one, *others) if d.question_type.removeprefix("open-book/") == kind]


def short(kind: str, one: Section, *others: Section) -> set[str]:
    return {d.answer for d in drafts(one, *others, style=Style.OPEN_BOOK) if d.question_type == f"open-book/{kind}"}


def question(draft: Draft) -> str:
    return draft.prompt[-1].content.rsplit("\nQuestion: ", 1)[-1]


ALLERGY = "VELTORAN is contraindicated in patients with known hypersensitivity to examplol."


def test_a_contraindication_is_the_answer_only_when_it_is_the_only_one() -> None:
    alone = section("34070-3", ALLERGY)
    assert short("contraindication", alone) == {"The answer is patients with known hypersensitivity to examplol."} or (
        short("contraindication", section("34070-3", "VELTORAN is contraindicated in patients with asthma."))
        == {"The answer is patients with asthma."}
    )


@pytest.mark.parametrize(
    "more",
    [
        "Examplol should not be prescribed to patients with uncorrected hypokalemia.",
        "Do not use VELTORAN together with a monoamine oxidase inhibitor.",
        "VELTORAN is contraindicated in patients with glaucoma.",
        "4.2 Long QT Patients Long QT VELTORAN must not be given",
    ],
)
def test_one_contraindication_of_several_is_never_the_answer(more: str) -> None:
    both = section("34070-3", f"VELTORAN is contraindicated in patients with asthma. {more}")
    assert not short("contraindication", both)
    for draft in of_kind("contraindication", both):
        assert more in draft.answer or question(draft).startswith(("Quote one", "Name one"))


def test_contraindications_in_a_second_section_are_contraindications() -> None:
    first = section("34070-3", "VELTORAN is contraindicated in patients with asthma.", title="4.1 Asthma")
    second = section("34070-3", "VELTORAN is contraindicated in patients with gout.", title="4.2 Gout")
    assert not short("contraindication", first, second)
    assert all(
        "Asthma" in question(d) or question(d).startswith("Name one")
        for d in of_kind("contraindication", first, second)
    )


@pytest.mark.parametrize(
    ("value", "asks"),
    [("patients with asthma", ("whom", "Who")), ("severe bradycardia", ("conditions", "circumstances", "makes"))],
)
def test_who_is_asked_for_people_and_what_for_conditions(value: str, asks: tuple[str, ...]) -> None:
    found = drafts(section("34070-3", f"VELTORAN is contraindicated in {value}."), style=Style.OPEN_BOOK)
    assert found
    assert all(any(word in question(d) for word in asks) and "When" not in question(d) for d in found)


@pytest.mark.parametrize("blurred", ["it or any of its components", "the drug", "this product"])
def test_a_value_that_points_back_is_no_answer(blurred: str) -> None:
    text = f"VELTORAN is contraindicated in patients with hypersensitivity to {blurred}."
    assert not short("contraindication", section("34070-3", text))


@pytest.mark.parametrize(
    "more", ["Do not freeze.", "Protect from light.", "Discard 14 days after opening.", "Keep upright.", "Shake well."]
)
def test_storage_is_all_that_the_label_says_on_it(more: str) -> None:
    kept = section("44425-7", f"Store VELTORAN at 2°C to 8°C. {more}")
    assert not short("storage", kept)
    assert all(more in d.answer for d in of_kind("storage", kept))


def test_storage_of_a_single_sentence_is_asked() -> None:
    assert short("storage", section("44425-7", "Store VELTORAN at 2°C to 8°C.")) == {"The answer is at 2°C to 8°C."}


def test_a_package_beside_the_storage_is_left_out() -> None:
    text = "VELTORAN is supplied in bottles of 30 tablets. Store at 20°C to 25°C (68°F to 77°F)."
    found = of_kind("storage", section("34069-5", text))
    assert found
    assert all("bottles" not in d.answer for d in found if "How should" in question(d))


@pytest.mark.parametrize(
    "other",
    [
        "Patients with Alagille syndrome should be given 120 mcg/kg of VELTORAN once daily.",
        "For gout, give 120 mcg/kg of VELTORAN once daily.",
        "| Weight | Dose |\n| 10 kg | 120 mcg |",
        "The recommended dosage of VELTORAN is 40 mcg/kg taken orally once daily for up to 24 months.",
    ],
)
def test_the_dose_of_one_use_is_not_the_dose(other: str) -> None:
    text = "The recommended dosage of VELTORAN is 40 mcg/kg taken orally once daily."
    doses = section("34068-7", f"{text}\n{other}")
    assert not short("recommended-dose", doses)
    assert not [
        d for d in of_kind("recommended-dose", doses) if "recommend" in question(d) and "for" not in question(d)
    ]
    assert short("recommended-dose", section("34068-7", text))


def test_the_dose_of_a_group_is_not_asked_when_another_group_of_it_differs() -> None:
    text = (
        "The recommended dose of VELTORAN in patients with severe hepatic impairment is 250 mg orally once daily. "
        "In pediatric patients with severe hepatic impairment, use the second dose reduction, 200 mg."
    )
    assert not of_kind("recommended-dose", section("34068-7", text))


def test_a_line_of_the_first_page_is_no_heading_of_a_dose() -> None:
    text = "HER2 Testing: Use an approved test. ( 2.1 )\nThe recommended dose of VELTORAN is 3.6 mg/kg. ( 2.2 )"
    assert not [d for d in of_kind("recommended-dose", section("34068-7", text)) if "HER2" in question(d)]


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("43682-4", "Examplol is metabolized by CYP2D6. Both CYP3A4 and CYP2D6 clear examplol.", "metabolism"),
        ("43682-4", "Examplol is metabolized by CYP2D6. A minor pathway is CYP3A4.", "metabolism"),
        ("43679-0", "VELTORAN is a potent inhibitor of prostaglandin synthesis in vitro.", "target"),
        ("43679-0", "VELTORAN is an inhibitor of the kinase K with activity mainly against Ka.", "target"),
        ("43679-0", "VELTORAN acts as an inhibitor of gonadotropin secretion when given as an implant.", "target"),
        ("43679-0", "VELTORAN is an inhibitor of the kinase K. It also blocks the channel C.", "target"),
        ("43679-0", "Examplol is an antiviral drug.", "drug-class"),
        ("34069-5", "Each tablet contains 500 mg of examplol. Each gram of powder contains 0.94 g.", "strength"),
        ("34068-7", "Administer VELTORAN with food. Administer VELTORAN XR with or without food.", "food"),
        ("34088-5", "Signs of an overdose of examplol include rash. Coma was reported.", "overdose-signs"),
    ],
)
def test_one_value_of_several_is_not_asked(code: str, text: str, kind: str) -> None:
    assert not of_kind(kind, section(code, text))


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        ("43682-4", "Examplol is metabolized by CYP2D6.", "metabolism"),
        ("43679-0", "VELTORAN is an inhibitor of the kinase K.", "target"),
        ("34089-3", "Examplol is a beta adrenergic blocker.", "drug-class"),
        ("34069-5", "Each tablet contains 500 mg of examplol.", "strength"),
        ("34068-7", "Administer VELTORAN with food.", "food"),
        ("34088-5", "Signs of an overdose of examplol include rash. Call a poison center.", "overdose-signs"),
    ],
)
def test_the_only_value_is_asked(code: str, text: str, kind: str) -> None:
    assert of_kind(kind, section(code, text))


def test_values_of_a_combination_are_not_asked_without_their_substance() -> None:
    text = "In CYP2D6 poor metabolizers, approximately 45% of the administered dose is recovered in the urine."
    both = section("43682-4", text, drug="examplol and sampline")
    assert not of_kind("urinary-excretion", both)


def test_within_stays_in_the_answer() -> None:
    text = "The peak plasma concentrations of examplol are reached within 1 hour."
    assert short("peak-time", section("43682-4", text)) == {"The answer is within 1 hour."}


def test_a_warning_among_others_is_asked_as_one_of_them() -> None:
    warned = section("43685-7", "VELTORAN can cause seizures. Anaphylaxis has been reported with VELTORAN.")
    assert not short("harm", warned)
    assert all(question(d).startswith("Name one") for d in of_kind("harm", warned))


@pytest.mark.parametrize("broken", ["VELTORAN can cause and may impair mental abilities.", "VELTORAN can cause ."])
def test_a_harm_that_a_label_left_out_is_not_asked(broken: str) -> None:
    assert not of_kind("harm", section("43685-7", broken))


def test_what_patients_had_the_reactions_stands_in_the_question() -> None:
    text = (
        "Child and Adolescent Trials\nThe most commonly observed adverse reactions in patients treated with VELTORAN "
        "were nausea and vomiting.\nAdult Trials\nThe most commonly observed adverse reactions in patients treated "
        "with VELTORAN were constipation and dry mouth."
    )
    for draft in of_kind("common-reactions", section("34084-4", text)):
        assert any(word in question(draft) for word in ("Child", "Adult"))


def test_headings_inside_a_section_stay_in_the_answer_that_holds_all_of_it() -> None:
    text = "Absorption Examplol is absorbed in the gut.\nElimination Examplol is excreted in urine within two days."
    for draft in drafts(section("43681-6", text, title="Pharmacodynamics"), style=Style.SENTENCES):
        assert "Absorption:" in draft.answer or "Elimination" not in draft.answer


@pytest.mark.parametrize(
    "said",
    [
        "Patients with Psychosis Elderly patients with psychosis are at risk of death.",
        "VELTORAN is indicated for chorea tardive dyskinesia Patients are treated for both.",
        "Do not freeze. Discard unused drug. Discard the unused drug.",
        "VELTORAN is contraindicated in asthma. Heart block greater than first degree.",
        "Safety in pediatric patient have not been established.",
        "VELTORAN can cause and may impair judgment.",
        "VELTORAN is given in in the morning.",
        "VELTORAN lowers the the pressure of the blood.",
        "The dose of VELTORAN may is doubled.",
    ],
)
def test_broken_text_is_seen(said: str) -> None:
    small = frozenset({"elderly", "patients", "psychosis", "discard", "chorea"})
    assert flaw(said, small=small, names=("VELTORAN",))


@pytest.mark.parametrize(
    "said",
    [
        "Call the Poison Help Line at once.",
        "VELTORAN Tablets are contraindicated in patients with Child-Pugh Class C cirrhosis.",
        "Patients were enrolled in Study 2 and Trial A of the National Cancer Institute Common Terminology Criteria.",
        "Advise patients to read the Medication Guide before they take it.",
        "VELTORAN is contraindicated in:\n- active bleeding\n- severe asthma",
        "Do not freeze. Do not shake. Protect from light.",
        "No dose adjustment is needed in mild impairment. No dose adjustment is needed in moderate impairment.",
        "An 8 mg dose and a unique European study had been one that that group needed.",
        "Alzheimer’s disease and Parkinson’s disease were not treated.",
        "The 1st dose is given on day 1, the 2nd on day 8, at 25 mg of the salt.",
        "VELTORAN is contraindicated in:\n- Asthma\n- Porphyria",
    ],
)
def test_sound_text_is_let_through(said: str) -> None:
    small = frozenset({"class", "tablets", "study", "trial", "guide", "help", "line", "patients", "criteria"})
    assert not flaw(said, small=small, names=("VELTORAN",))


@pytest.mark.parametrize(
    "said",
    [
        "VELTORAN is indicated for: adults with gout children with fever patients with pain of the joints.",
        "VELTORAN is indicated in adults and children 2 years of age in adults and children 2 years of age.",
        "Swallow VELTORAN with food. VELTORAN Tablets VELTORAN tablets should be swallowed whole.",
        "VELTORAN Oral Solution A measuring cup is needed for the dose.",
        "VELTORAN is indicated for:\n- gout in adults\n- fever. VELTORAN is a blocker indicated for the treatment of",
        "Brumfitt and Pursell, 11 in a study, reported the outcome of VELTORAN.",
        "The safety and efficacy of VELTORAN in children has not been established.",
        "The steady state of VELTORAN is achieved by the 5thdose of 250 mg twice daily.",
        "The mean AUC0-24was 89% greater when VELTORAN was taken with food.",
        "VELTORAN with rituximab In ORCHARD, diarrhea occurred in 64% of patients.",
        "Caution is recommended in patients with severe impairment [Clinical Pharmacology].",
        "Safety has been established pediatric patients 10 years of age and older.",
        "VELTORAN in a patient who is being treated with linezolid is also contraindicated.",
        "Non-teratogenic effects Veltoran has been shown to induce adenomas in mice.",
        "VELTORAN is indicated for the treatment of:\n- Melanoma.\n- adult patients with unresectable melanoma.",
        "VELTORAN is debossed with the logo and 325. Astellas logo Astellas logo",
    ],
)
def test_more_broken_text_is_seen(said: str) -> None:
    assert flaw(said, small=frozenset({"tablets", "solution"}), names=("VELTORAN",))


def test_a_share_holds_nothing_beside_the_share() -> None:
    more = "The mean oral bioavailability of examplol is 60%, with peak levels after 3 hours."
    assert not short("bioavailability", section("43682-4", more))
    assert short("bioavailability", section("43682-4", "The oral bioavailability of examplol is 60%.")) == {
        "The answer is 60%."
    }


@pytest.mark.parametrize(
    "text",
    [
        "The most common adverse events with VELTORAN were consistent with its known profile.",
        "The most frequent adverse reactions with VELTORAN were edema and rash. Fever was the most commonly reported "
        "individual reaction in another trial.",
        "The most common adverse reactions occurring in VELTORAN-treated patients were cough and rash. The most common "
        "adverse reactions with VELTORAN were nausea and fever.",
    ],
)
def test_reactions_of_a_trial_are_not_the_drugs(text: str) -> None:
    assert not of_kind("common-reactions", section("34084-4", text))


def test_the_first_page_gives_all_its_lists_of_reactions() -> None:
    text = (
        "Most common adverse reactions (≥10%) are: Adults: nausea and fever. Children: rash. ( 6.1 ) To report "
        "SUSPECTED ADVERSE REACTIONS, call.\n6.1 Trials The most common adverse reaction in adults was nausea."
    )
    found = [d for d in of_kind("common-reactions", section("34084-4", text)) if "highlights" in question(d)]
    assert all("Adults: nausea and fever." in d.answer and "Children: rash." in d.answer for d in found)


def test_a_dose_as_needed_has_a_ceiling_that_belongs_to_it() -> None:
    text = "The recommended dose of VELTORAN is 75 mg orally, as needed. The maximum dose in 24 hours is 75 mg."
    assert not of_kind("recommended-dose", section("34068-7", text))


def test_what_counts_items_is_no_reference() -> None:
    text = "Factors are: (1) a slower heart, (2) less renin, and (3) wider vessels, which VELTORAN acts on."
    assert all("(2) less renin" in d.answer for d in drafts(section("43679-0", text)) if "renin" in d.answer)


@pytest.mark.parametrize("code", ["34070-3", "34068-7", "34081-0"])
def test_a_sentence_of_a_long_section_is_asked_for_as_one(code: str) -> None:
    said = {
        "34070-3": "VELTORAN is contraindicated in patients with asthma.",
        "34068-7": "The recommended dose of VELTORAN in adults with gout is 5 mg daily.",
        "34081-0": "Safety in children below 2 years has not been established.",
    }[code]
    long = section(
        code, said + " " + "Weigh what was seen in the trials against what this one patient needs. " * 30 + "Bad:"
    )
    for draft in (d for d in drafts(long, style=Style.SENTENCES) if d.evidence == said):
        assert question(draft).startswith(("Quote one sentence", "Name one")) or "adults with gout" in question(draft)


def test_a_first_page_without_marks_is_not_said_again() -> None:
    text = (
        "VELTORAN is indicated for gout in adults who failed other drugs. It is not for fever.\n"
        "VELTORAN is a kinase inhibitor indicated for gout in adults who failed other drugs."
    )
    (draft,) = of_kind("indication", section("34067-9", text))
    assert draft.answer.count("gout") == 1
    other = section("34067-9", "VELTORAN is indicated for gout in adults.\nVELTORAN is indicated for fever in adults.")
    assert all("fever" in d.answer for d in of_kind("indication", other))


def test_a_title_with_a_line_and_a_number_of_its_own_is_a_heading() -> None:
    text = (
        "2.1 Breast Cancer\nThe dose of VELTORAN is 5 mg daily.\n2.2 Lung Cancer\nThe dose of VELTORAN is 9 mg daily."
    )
    (whole,) = of_kind("dosing", section("34068-7", text))
    assert "Breast Cancer:\nThe dose of VELTORAN (examplol) is 5 mg" in whole.answer
    longer = section("34068-7", text + "\n2.3 Preparation\n" + "Shake the bottle well before each use. Bad:" * 20)
    asked = {question(d): d.answer for d in of_kind("dosing", longer)}
    assert any("“Breast Cancer”" in q and "5 mg" in a for q, a in asked.items())
    assert not any("5 mg" in a and "9 mg" in a for a in asked.values())


@pytest.mark.parametrize(
    "stated",
    [
        "VELTORAN may increase the effect, and decreases the risk of nausea.",
        "VELTORAN may cause fits; however, it will prevent them later.",
        "VELTORAN is given once a day as a single dose.",
    ],
)
def test_a_wrong_answer_never_contradicts_itself(stated: str) -> None:
    for kind in ("warning", "interaction", "dosing"):
        assert not edits(stated, context=(stated,), drug="examplol", kind=kind)


def test_a_wrong_answer_changes_the_answer_and_not_the_heading_that_was_asked_for() -> None:
    stated = "On “Beta-blockers may decrease effects”, the label of examplol states: Use with caution."
    assert not edits(stated, context=(stated,), drug="examplol", kind="interaction")
    plain = "On “Fits”, the label of examplol states: VELTORAN can cause fits."
    (edit,) = edits(plain, context=(plain,), drug="examplol", kind="warning")
    assert edit.text.startswith("On “Fits”, the label of examplol states: VELTORAN will not cause")


def test_a_line_of_the_first_page_is_not_what_stands_under_a_numbered_heading() -> None:
    text = (
        "Eyes: VELTORAN can cause detachment of the retina. ( 5.1 ) Fits: VELTORAN can cause fits. ( 5.2 )\n"
        "5.1 Eyes VELTORAN can cause detachment of the retina.\nDry Eye\nVELTORAN can cause dry eyes in adults.\n"
        "5.2 Fits VELTORAN can cause fits. Stop it then."
    )
    for draft in of_kind("warning", section("43685-7", text)):
        assert "highlights" in question(draft) or "retina" not in draft.answer or "dry eyes" in draft.answer


@pytest.mark.parametrize("heading", ["Risk Summary", "Teratogenic Effects"])
def test_a_heading_of_form_alone_is_left_out(heading: str) -> None:
    text = f"{heading}\nThere are no data on VELTORAN in pregnant women."
    assert all(heading not in d.answer for d in drafts(section("42228-7", text), style=Style.SENTENCES))


def test_a_boxed_warning_whose_first_page_says_more_is_not_asked_whole() -> None:
    full = (
        "WARNING: FITS VELTORAN can cause fits in adults. WARNING: FITS See full prescribing information for complete "
    )
    text = full + "boxed warning. VELTORAN can cause fits. ( 5.1 ) VELTORAN is not approved for children. ( 8.4 )"
    asked = [question(d) for d in of_kind("boxed-warning", section("34066-1", text))]
    assert asked
    assert not any("boxed warning of examplol state" in q for q in asked)


def test_a_line_that_lost_its_use_is_not_everybodys() -> None:
    text = (
        "COPD: The most common adverse reactions were cough and dry mouth. ( 6.1 ) Asthma: The most common adverse "
        "reactions were headache and fever. ( 6.2 )\n6.1 COPD The most common reactions in COPD were cough and thirst."
    )
    assert not short("common-reactions", section("34084-4", text))


def test_forms_with_the_first_page_behind_them_are_not_asked() -> None:
    sound = "VELTORAN tablets are supplied as:\n- 25 mg oval tablet with “3”\n- 50 mg tablet with “5”"
    assert not of_kind("dosage-forms", section("43678-2", f"{sound} Tablets: 25 mg and 50 mg."))
    assert of_kind("dosage-forms", section("43678-2", sound))


def test_a_heading_over_a_whole_section_stays_only_if_it_narrows() -> None:
    said = "VELTORAN did not prolong the QT interval to any relevant extent."
    (plain,) = of_kind("section", section("43681-6", f"Cardiac Electrophysiology {said}"))
    assert "Electrophysiology" not in plain.answer
    for draft in of_kind("section", section("43681-6", f"Pediatric Patients {said}")):
        assert "Pediatric Patients" in draft.answer


@pytest.mark.parametrize("start", ["Prescribing", "Starting", "Discontinuing"])
def test_what_is_done_to_the_drug_is_no_end_of_a_heading(start: str) -> None:
    said = f"{start} VELTORAN in a patient without an infection is contraindicated and increases its risks."
    assert all(said.split(" VELTORAN")[0] in d.answer for d in drafts(section("34070-3", said), style=Style.SENTENCES))
    headed = section("43685-7", f"5.1 Resistant Bacteria {said}\n5.2 Fits VELTORAN can cause fits in adults at once.")
    for draft in of_kind("warning", headed):
        assert start not in question(draft)
        assert "without an infection" not in draft.answer or start in draft.answer


@pytest.mark.parametrize(
    "stated",
    [
        "Examplol is an inhibitor of platelet activation and aggregation.",
        "Examplol inhibits the enzyme to prevent its product.",
        "Although not seen in trials of VELTORAN, it may cause fits.",
    ],
)
def test_a_wrong_answer_is_not_absurd(stated: str) -> None:
    for kind in ("mechanism", "warning"):
        assert not edits(stated, context=(stated,), drug="examplol", kind=kind)


def test_a_quoted_dose_says_what_its_heading_says() -> None:
    dose = "The recommended dose of examplol for patients in clinics is 25 mg once daily."
    assert not _says_its_heading("Patients with Renal Impairment", dose)
    assert not _says_its_heading("Basal Cell Carcinoma", dose)
    assert _says_its_heading("Recommended Dosage > Patients in Clinics", dose)
    assert _says_its_heading("", dose)


@pytest.mark.parametrize(
    ("kind", "text", "asked"),
    [
        ("renal", "Reduce the dose of examplol in patients with severe renal impairment.", False),
        ("renal", "Reduce the dose of examplol by half in patients with severe renal impairment.", True),
        ("hepatic", "The maximum dosage of examplol is lower in moderate hepatic impairment.", False),
        ("hepatic", "No dosage adjustment of examplol is needed in moderate hepatic impairment.", True),
    ],
)
def test_a_change_of_dose_without_the_dose_is_not_asked(kind: str, text: str, asked: bool) -> None:
    assert bool(of_kind(kind, section("43684-0", text, title=f"{kind.capitalize()} Impairment"))) is asked


@pytest.mark.parametrize("title", ["Whether", "Non-antiretroviral Medicines Because", "5.2 Use With"])
def test_a_heading_that_goes_on_is_none(title: str) -> None:
    assert clean_heading(title) == ""
