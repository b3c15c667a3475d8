"""A data set says which labels it asks about, and why it is silent on the others."""

from __future__ import annotations

from posology.curation.dataset.coverage import coverage, gaps
from posology.curation.domain import Drop, Pair, Section, make_pair
from posology.curation.text.questions import asked


def section(label: str, code: str, text: str) -> Section:
    return Section(f"{label}-{code}", label, label, code, code, text, f"{label}.xml", label)


DOSE = "The recommended dose is 5 mg once daily."
SECTIONS = [
    section("alphadrug", "34067-9", "Alphadrug is indicated for gout in adults."),
    section("alphadrug", "34068-7", DOSE),
    section("betadrug", "34067-9", "Betadrug is indicated for fever in adults."),
    section("betadrug", "34068-7", "| Age | Dose |\n| --- | --- |\n| adults | 5 mg |"),
    section("gammadrug", "34068-7", "Patients Adults 5 mg Children 2 mg Table 1 see below"),
]


def pair(where: Section, kind: str) -> Pair:
    return make_pair(asked(f"What of {where.drug}?"), where.text, question_type=kind, section=where)


def test_coverage_counts_labels_that_have_the_section_and_those_that_are_asked_about() -> None:
    pairs = [pair(SECTIONS[0], "indication"), pair(SECTIONS[0], "open-book/indication"), pair(SECTIONS[1], "check")]
    counted = coverage(SECTIONS, pairs)
    assert counted == {"indication": {"labels": 2, "asked": 1}, "a dose": {"labels": 3, "asked": 0}}


def test_a_gap_says_whether_pairs_were_dropped_or_nothing_could_be_read() -> None:
    dropped = [Drop("filter", "min_words", "3 words", pair=pair(SECTIONS[1], "recommended-dose"))]
    reasons = {(gap["label"], gap["missing"]): gap["reason"] for gap in gaps(SECTIONS, [], dropped)}
    assert reasons["alphadrug", "a dose"] == "dropped: 1 filter/min_words"
    assert reasons["betadrug", "a dose"] == "only tables"
    assert "certainty" in reasons["gammadrug", "a dose"]
    assert ("gammadrug", "indication") not in reasons


def test_what_is_asked_about_is_no_gap() -> None:
    assert not list(gaps(SECTIONS[:1], [pair(SECTIONS[0], "indication")], []))
