"""Claims held against their section, over the wire: a teacher that lies is not kept, an honest one is."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.teacher_server import Reply, access_to, completion, teacher_server

from posology.curation.domain import Section
from posology.curation.teachers import Answer, Task
from posology.curation.teachers.openai import OpenAITeacher

TEXT = """Adults: The recommended dose of Veltoran is 10 mg orally twice daily with food.
The maximum dose is 40 mg per day.
Veltoran is not recommended in patients with severe renal impairment (CrCl below 30 mL/min).
Safety and effectiveness of Veltoran have not been established in pediatric patients.
Veltoran can cause fetal harm; advise pregnant women of the risk.
Avoid use of Veltoran with strong CYP3A4 inhibitors such as ketoconazole.
Rifampin decreases the concentration of Veltoran by 60%.
In patients with moderate hepatic impairment, reduce the dose to 5 mg once daily.
Veltoran is contraindicated in patients with any of the following:
- active bleeding
- known hypersensitivity to Veltoran
Table 1: Dose by weight
| Weight | Dose |
| --- | --- |
| below 50 kg | 5 mg twice daily |
| 50 kg and above | 10 mg twice daily |
Store below 30°C. Do not freeze.
Inject 2 mL intravenously over 30 minutes for patients who cannot swallow."""
SECTION = Section("s1", "veltoran", "set", "34068-7", "Dosage and Administration", TEXT, "v.xml")
DOSE = "The recommended dose of Veltoran is 10 mg orally twice daily with food."
RENAL = "Veltoran is not recommended in patients with severe renal impairment (CrCl below 30 mL/min)."
CHILD = "Safety and effectiveness of Veltoran have not been established in pediatric patients."
FETAL = "Veltoran can cause fetal harm; advise pregnant women of the risk."

LIES = [
    # (question, answer, evidence): the audit's eight, then siblings
    ("Can Veltoran be used in pregnancy?", "Veltoran is safe in pregnancy.", FETAL),
    ("How is Veltoran taken?", "Take Veltoran 10 mg orally twice daily without food.", DOSE),
    ("How often is Veltoran taken?", "The recommended dose of Veltoran is 10 mg orally once daily with food.", DOSE),
    ("What is the dose of Veltoran?", "The recommended dose of Warfarin is 10 mg orally twice daily with food.", DOSE),
    ("What is the dose of Veltoran?", "The recommended dose of Veltoran is 10 mg orally twice daily with food.", ""),
    ("What is the dose of Veltoran?", "The recommended dose of Veltoran is 100 mg orally twice daily with food.", DOSE),
    ("What is the dose of Veltoran?", "The recommended dose of Veltoran is 10 mcg orally twice daily with food.", DOSE),
    (
        "May children take Veltoran?",
        "Safety and effectiveness of Veltoran have been established in pediatric patients.",
        CHILD,
    ),
    (
        "What is the dose of Veltoran?",
        "The recommended dose of Veltoran is 10 mg intravenously twice daily with food.",
        DOSE,
    ),
    (
        "May Veltoran be used in severe renal impairment?",
        "Veltoran is recommended in patients with severe renal impairment.",
        RENAL,
    ),
    (
        "May Veltoran be used in severe renal impairment?",
        "Veltoran is not recommended in patients with mild renal impairment.",
        RENAL,
    ),
    ("When is Veltoran not recommended?", "Veltoran is not recommended in patients with CrCl above 30 mL/min.", RENAL),
    (
        "When is Veltoran not recommended?",
        "Veltoran is not recommended in patients with severe hepatic impairment.",
        RENAL,
    ),
    (
        "What does rifampin do to Veltoran?",
        "Rifampin increases the concentration of Veltoran by 60%.",
        "Rifampin decreases the concentration of Veltoran by 60%.",
    ),
    (
        "Which inhibitors go with Veltoran?",
        "Use Veltoran with strong CYP3A4 inhibitors such as ketoconazole.",
        "Avoid use of Veltoran with strong CYP3A4 inhibitors such as ketoconazole.",
    ),
    (
        "What is the dose of Veltoran below 50 kg?",
        "Below 50 kg, the dose of Veltoran is 10 mg twice daily.",
        "| below 50 kg | 5 mg twice daily |",
    ),
    ("How is Veltoran stored?", "Store Veltoran above 30°C.", "Store below 30°C."),
    ("How is Veltoran stored?", "Veltoran may be frozen and stored below 30°C.", "Store below 30°C. Do not freeze."),
    (
        "What is the dose of Veltoran?",
        DOSE,
        "The recommended dose of Veltoran is 10 mg orally three times daily with food.",
    ),
    ("What is the usual dose?", DOSE, DOSE),
    (
        "What is the maximum dose of Veltoran?",
        "The maximum dose of Veltoran is 40 mg per week.",
        "The maximum dose is 40 mg per day.",
    ),
    (
        "Who must not take Veltoran?",
        "Veltoran is not contraindicated in patients with active bleeding.",
        "- active bleeding",
    ),
    (
        "How is Veltoran injected?",
        "Inject 2 mL of Veltoran intravenously over 30 seconds.",
        "Inject 2 mL intravenously over 30 minutes for patients who cannot swallow.",
    ),
    (
        "What about Veltoran and atorvastatin?",
        "Avoid use of Veltoran with atorvastatin.",
        "Avoid use of Veltoran with strong CYP3A4 inhibitors such as ketoconazole.",
    ),
    ("What is the dose of Veltoran?", "Do \u202enot take Veltoran twice daily with food.", DOSE),
    ("What is Veltoran for?", "Veltoran cures migraine overnight in nearly everybody.", DOSE),
    ("Dose of Veltoran in geriatric patients?", DOSE, DOSE),
]

HONEST = [
    ("What is the dose of Veltoran?", DOSE, DOSE),
    (
        "What is the recommended dose of Veltoran?",
        "The recommended dose is 10 mg by mouth twice daily with food.",
        DOSE,
    ),
    ("How should adults take Veltoran?", "Adults take 10 mg of Veltoran orally two times a day with food.", DOSE),
    (
        "What is the maximum dose of Veltoran?",
        "The maximum dose of Veltoran is 40 mg per day.",
        "The maximum dose is 40 mg per day.",
    ),
    (
        "What is the most Veltoran a day?",
        "At most 40 mg daily: the maximum dose is 40 mg per day.",
        "The maximum dose is 40 mg per day.",
    ),
    (
        "May Veltoran be used in severe renal impairment?",
        "No. Veltoran is not recommended in patients with severe renal impairment.",
        RENAL,
    ),
    (
        "What if CrCl is below 30 mL/min with Veltoran?",
        "Veltoran should not be used: it is not recommended in severe renal impairment with a CrCl below 30 mL/min.",
        RENAL,
    ),
    ("May children take Veltoran?", "Safety and effectiveness have not been established in pediatric patients.", CHILD),
    (
        "Is Veltoran established in children?",
        "No, its safety and effectiveness in children have not been established.",
        CHILD,
    ),
    (
        "What does Veltoran do in pregnancy?",
        "Veltoran can cause fetal harm, so pregnant women should be advised of the risk.",
        FETAL,
    ),
    (
        "Which drugs should be avoided with Veltoran?",
        "Avoid using Veltoran with strong CYP3A4 inhibitors, for example ketoconazole.",
        "Avoid use of Veltoran with strong CYP3A4 inhibitors such as ketoconazole.",
    ),
    (
        "What does rifampin do to Veltoran?",
        "Rifampin lowers the concentration of Veltoran by 60%.",
        "Rifampin decreases the concentration of Veltoran by 60%.",
    ),
    (
        "What does rifampin do to Veltoran?",
        "Rifampin decreases Veltoran's concentration by 60%.",
        "Rifampin decreases the concentration of Veltoran by 60%.",
    ),
    (
        "How is Veltoran dosed in moderate hepatic impairment?",
        "In moderate hepatic impairment the dose is reduced to 5 mg once daily.",
        "In patients with moderate hepatic impairment, reduce the dose to 5 mg once daily.",
    ),
    (
        "Who must not take Veltoran?",
        "Veltoran is contraindicated in patients with active bleeding.",
        "- active bleeding",
    ),
    (
        "Is active bleeding a contraindication to Veltoran?",
        "Yes. Veltoran is contraindicated in patients with active bleeding.",
        "Veltoran is contraindicated in patients with any of the following:\n- active bleeding",
    ),
    (
        "What is the dose of Veltoran below 50 kg?",
        "Below 50 kg, the dose of Veltoran is 5 mg twice daily.",
        "| below 50 kg | 5 mg twice daily |",
    ),
    (
        "What is the dose of Veltoran at 60 kg?",
        "At a weight of 50 kg and above the dose is 10 mg twice daily.",
        "| 50 kg and above | 10 mg twice daily |",
    ),
    ("How is Veltoran stored?", "Store Veltoran below 30°C and do not freeze it.", "Store below 30°C. Do not freeze."),
    ("How is Veltoran stored?", "Store below 30°C. Do not freeze.", "Store below 30°C. Do not freeze."),
    (
        "How is Veltoran given to those who cannot swallow?",
        "Inject 2 mL intravenously over 30 minutes.",
        "Inject 2 mL intravenously over 30 minutes for patients who cannot swallow.",
    ),
]


def kept(pairs: list[tuple[str, str, str]], tmp_path: Path) -> Answer:
    def speaks(number: int, body: dict[str, Any]) -> Reply:
        listed = [{"question": q, "answer": a, "question_type": "fact", "evidence": e} for q, a, e in pairs]
        return completion(json.dumps({"pairs": listed}))

    with teacher_server(speaks) as server:
        (answer,) = OpenAITeacher(access_to(server.url), "m", tmp_path / "journal.jsonl").teach([Task(SECTION)])
    return answer


@pytest.mark.parametrize("lie", LIES, ids=[f"{n}-{answer[:40]}" for n, (_, answer, _) in enumerate(LIES)])
def test_no_lie_is_kept_and_its_reason_is_named(lie: tuple[str, str, str], tmp_path: Path) -> None:
    answer = kept([lie], tmp_path)
    assert not answer.drafts
    ((_, reason),) = answer.rejected
    assert ": " in reason


def test_an_honest_teacher_keeps_nearly_all_of_its_pairs(tmp_path: Path) -> None:
    answer = kept(HONEST, tmp_path)
    lost = [(draft.answer, reason) for draft, reason in answer.rejected]
    assert len(answer.drafts) >= 0.95 * len(HONEST), lost
