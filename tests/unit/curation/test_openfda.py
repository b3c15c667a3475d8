"""openFDA JSON: every shape of file, parents that repeat their children, lists, tables."""
# ruff: noqa: E501  (texts of labels read better unbroken)

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest

from posology.curation.dataset.corpus import gather
from posology.curation.recipe import Source
from posology.curation.sources import FORMATS, Document, Parsed, Unreadable
from posology.curation.sources.location import Limits

MECHANISM = "12.1 Mechanism of Action Examplol inhibits the example receptor and so lowers the blood pressure."
KINETICS = "12.3 Pharmacokinetics The half-life of examplol is 7 hours after a single oral dose of 10 mg."
RECORD: dict[str, Any] = {
    "set_id": "s1",
    "version": "4",
    "openfda": {"generic_name": ["EXAMPLOL HYDROCHLORIDE"], "substance_name": ["EXAMPLOL HYDROCHLORIDE"]},
    "clinical_pharmacology": [f"12 CLINICAL PHARMACOLOGY {MECHANISM} {KINETICS}"],
    "mechanism_of_action": [MECHANISM],
    "pharmacokinetics": [KINETICS],
    "package_label_principal_display_panel": ["PRINCIPAL DISPLAY PANEL Examplol 10 mg tablets NDC 0000"],
}


def read(data: bytes | str) -> list[Parsed]:
    return list(FORMATS["OPENFDA"].read(Document("f.json", data.encode() if isinstance(data, str) else data)))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"meta": {}, "results": [RECORD]}),
        json.dumps([RECORD]),
        json.dumps(RECORD),
        json.dumps({"file": "x", "result": RECORD}) + "\n" + json.dumps({"file": "y", "result": RECORD}),
        json.dumps(RECORD) + "\n\n" + json.dumps(RECORD) + "\n",
    ],
)
def test_responses_bulk_files_and_json_lines_are_all_read(text: str) -> None:
    for parsed in read(text):
        assert parsed.label is not None
        assert (parsed.label.drug, parsed.label.ingredients, parsed.label.version) == (
            "examplol hydrochloride",
            ("examplol",),
            4,
        )


def test_each_fact_enters_once_though_parents_repeat_their_children() -> None:
    (parsed,) = read(json.dumps(RECORD))
    assert sorted(section.code for section in parsed.sections) == ["43679-0", "43682-4"]
    assert sum("example receptor" in section.text for section in parsed.sections) == 1


def test_a_parent_keeps_what_no_child_has() -> None:
    own = "Examplol belongs to the examplanes, a class of medicines for high blood pressure."
    record = RECORD | {"clinical_pharmacology": [f"12 CLINICAL PHARMACOLOGY {own} {MECHANISM} {KINETICS}"]}
    (parsed,) = read(json.dumps(record))
    (parent,) = [s for s in parsed.sections if s.code == "34090-1"]
    assert "examplanes" in parent.text
    assert "half-life" not in parent.text


def test_the_heading_that_a_text_starts_with_is_cut() -> None:
    (parsed,) = read(json.dumps(RECORD))
    assert {s.text.split()[0] for s in parsed.sections} == {"Examplol", "The"}


def test_tables_take_the_place_of_their_flat_copy() -> None:
    cells = ["Creatinine clearance", "below 30 mL/min", "Dose", "5 mg once daily with food"]
    html = (
        f"<table><tr><td>{cells[0]}</td><td>{cells[1]}</td></tr><tr><td>{cells[2]}</td><td>{cells[3]}</td></tr></table>"
    )
    record = RECORD | {
        "dosage_and_administration": [
            f"2 DOSAGE AND ADMINISTRATION Adjust the dose as the table says. {' '.join(cells)}"
        ],
        "dosage_and_administration_table": [html],
    }
    (parsed,) = read(json.dumps(record))
    (dosage,) = [s for s in parsed.sections if s.code == "34068-7"]
    assert dosage.text.splitlines() == [
        "Adjust the dose as the table says.",
        "| Creatinine clearance | below 30 mL/min |",
        "| Dose | 5 mg once daily with food |",
    ]


@pytest.mark.parametrize("text", ["not json", "[1, 2]", '"text"', "{}\nnot json", "[" * 100_000])
def test_what_is_no_openfda_json_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        read(text)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", "{}".encode("utf-16-le"), b'{"a": "\xe9"}'])
def test_a_wrong_encoding_is_said_and_never_guessed(data: bytes) -> None:
    with pytest.raises(Unreadable, match="UTF"):
        read(data)


def test_gzipped_files_are_unpacked_and_bombs_are_not(tmp_path: Path) -> None:
    (tmp_path / "labels.jsonl.gz").write_bytes(gzip.compress(json.dumps(RECORD).encode()))
    sources = [Source(tmp_path.as_uri(), "OPENFDA")]
    assert len(gather(sources, Limits((tmp_path,)), progress=lambda *_: None).sections) == 2
    (tmp_path / "labels.jsonl.gz").write_bytes(gzip.compress(b" " * 50_000_000))
    small = Limits((tmp_path,), max_bytes=1_000_000)
    with pytest.raises(Exception, match="unpacks to more than the 1,000,000 bytes"):
        gather(sources, small, progress=lambda *_: None)


def test_several_versions_of_one_label_leave_the_newest(tmp_path: Path) -> None:
    for version in ("2", "10", "9"):
        (tmp_path / f"v{version}.json").write_text(json.dumps(RECORD | {"version": version}))
    corpus = gather([Source(tmp_path.as_uri(), "OPENFDA")], Limits((tmp_path,)), progress=lambda *_: None)
    assert {section.source for section in corpus.sections} == {"v10.json"}
    assert [drop.reason for drop in corpus.drops] == ["older_version", "older_version"]


FLAT = {
    "set_id": "s2",
    "version": 12,
    "openfda": {"generic_name": "ORVELIN", "brand_name": "Orv", "substance_name": "ORVELIN"},
    "indications_and_usage": "Orvelin is indicated for the treatment of seasonal wheezing in adults and children.",
}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"version": 12.0},
        {"version": "12"},
        {"version": ["12"]},
        {"openfda": {"generic_name": "['ORVELIN']", "substance_name": '["ORVELIN"]'}},
        {"openfda": None, "openfda.generic_name": "ORVELIN", "openfda.substance_name": "ORVELIN"},
        {"openfda": None, "openfda_generic_name": ["ORVELIN"], "openfda_substance_name": "ORVELIN"},
        {"openfda": '{"generic_name": ["ORVELIN"], "substance_name": "ORVELIN"}'},
        {"openfda": "{'generic_name': ['ORVELIN']}"},
        {"openfda": {"generic_name": [["ORVELIN"]], "substance_name": "ORVELIN"}},
        {"openfda": {"generic_name": float("nan"), "brand_name": "nan", "substance_name": "ORVELIN"}},
    ],
)
def test_records_that_came_through_a_table_are_the_same_records(change: dict[str, Any]) -> None:
    (parsed,) = read(json.dumps(FLAT | change))
    assert parsed.label is not None
    assert (parsed.label.drug, parsed.label.ingredients, parsed.label.version) == ("orvelin", ("orvelin",), 12)
    assert parsed.sections[0].text == FLAT["indications_and_usage"]


@pytest.mark.parametrize("mark", ["; ", "|", " | "])
def test_several_names_in_one_text_are_several_ingredients(mark: str) -> None:
    names = f"ORVELIN{mark}TESTIN"
    (parsed,) = read(json.dumps(FLAT | {"openfda": {"generic_name": names, "substance_name": names}}))
    assert parsed.label is not None
    assert (parsed.label.drug, parsed.label.ingredients) == ("orvelin and testin", ("orvelin", "testin"))


@pytest.mark.parametrize("version", ["²", "١٢", "9" * 401, -1, 1e300, None, {}, True, "1.5"])
def test_a_version_that_is_no_number_is_zero(version: Any) -> None:
    (parsed,) = read(json.dumps(FLAT | {"version": version}))
    assert parsed.label is not None
    assert parsed.label.version == 0


@pytest.mark.parametrize(
    ("glued", "parted"),
    [
        ("DirectionsApply liberally before sun exposure.Reapply every 2 hours.", "Directions Apply liberally before sun exposure. Reapply every 2 hours."),
        ("Take every 6 hours.Do not exceed 8 tablets in 24 hours.Children: ask.", "Take every 6 hours. Do not exceed 8 tablets in 24 hours. Children: ask."),
        ("Give for 5 days.2 tablets then follow as told by them.", "Give for 5 days. 2 tablets then follow as told by them."),
        ("adults:Take one of them each morning with food and water", "adults: Take one of them each morning with food and water"),
        ("NovoLog 2.5 mg/mL and HbA1c and pH 7.4, e.g. OxyContin, U.S.P. grade", "NovoLog 2.5 mg/mL and HbA1c and pH 7.4, e.g. OxyContin, U.S.P. grade"),
        ("each tabletTake one tablet with water each day and take no more", "each tablet Take one tablet with water each day and take no more"),
        ("Keep the tablets at 25°C.Protect them from light (68°-77°F)Keep dry as ever.", "Keep the tablets at 25°C. Protect them from light (68°-77°F) Keep dry as ever."),
        ("Take 5mgDaily at a pH of 7.4.Store it cold.Ask a doctor if(1) you are pregnant", "Take 5mg Daily at a pH of 7.4. Store it cold. Ask a doctor if (1) you are pregnant"),
        ("take one of them twice dailyWarnings: stop use and 5.5 mg", "take one of them twice daily Warnings: stop use and 5.5 mg"),
        ("For external use only Do not use on broken skin When using this product keep out of eyes.", "For external use only\nDo not use on broken skin\nWhen using this product keep out of eyes."),
        ("Uses:•pain of joints•fever in adults•headache of any kind there is", "Uses:\n•pain of joints\n•fever in adults\n•headache of any kind there is"),
    ],
)  # fmt: skip
def test_words_and_sentences_that_lost_their_space_are_parted_and_numbers_stay(glued: str, parted: str) -> None:
    (parsed,) = read(json.dumps(FLAT | {"indications_and_usage": glued}))
    assert parsed.sections[0].text == parted
    assert "".join(parted.split()) == "".join(glued.split())


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["distinct", "nested", "alike"])
def test_time_grows_with_the_text_not_with_its_square(kind: str) -> None:
    entries = {
        "distinct": [
            f"Statement number {n} of this label, which nobody else makes in any words." for n in range(5_000)
        ],
        "nested": ["word " * n for n in range(20, 700)],
        "alike": ["a " * 40 + f"tail {n} of it, and a little more of that" for n in range(2_500)],
    }[kind]
    started = time.process_time()
    (parsed,) = read(json.dumps(FLAT | {"warnings": entries}))
    assert parsed.sections
    assert time.process_time() - started < 4


def test_homeopathic_records_and_unknown_prose_are_named() -> None:
    (parsed,) = read(json.dumps(FLAT | {"purpose": ["Homeopathic remedy for colds of every kind and season."]}))
    assert "homeopathic" in parsed.drops[0].detail
    (parsed,) = read(json.dumps(FLAT | {"mystery_section": ["word " * 30]}))
    assert [drop.detail for drop in parsed.drops] == ["fields that are no known section: mystery_section"]
