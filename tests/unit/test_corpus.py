"""The sample files are what their script writes, and no suite item is in what a model may have learned."""

import json
import random
from pathlib import Path
from xml.etree import ElementTree

import pytest
from examples.corpus.__main__ import write_all
from examples.corpus.labels import read_fact_table
from examples.corpus.world import KINDS, POOLS, names
from examples.nano.reading import document

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
HL7 = "{urn:hl7-org:v3}"
SHIPPED = ("labels", "general", "suites")


def lines(name: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in (EXAMPLES / name).read_text().splitlines()]


def test_the_committed_files_are_what_the_script_writes(tmp_path: Path) -> None:
    write_all(tmp_path)
    for folder in SHIPPED:
        shipped = {p.name: p.read_text() for p in (EXAMPLES / folder).iterdir()}
        assert {p.name: p.read_text() for p in (tmp_path / folder).iterdir()} == shipped


def test_everything_shipped_is_under_a_megabyte() -> None:
    assert sum(p.stat().st_size for folder in SHIPPED for p in (EXAMPLES / folder).iterdir()) < 1_000_000


def test_a_label_has_the_structure_of_a_prescription_label() -> None:
    for path in (EXAMPLES / "labels").iterdir():
        root = ElementTree.parse(path).getroot()
        code, set_id, version = (root.find(HL7 + name) for name in ("code", "setId", "versionNumber"))
        assert code is not None
        assert set_id is not None
        assert version is not None
        assert code.get("code") == "34391-3"
        nested = root.findall(f".//{HL7}section//{HL7}section/{HL7}code")
        assert {c.get("code") for c in nested} >= {"42229-5", "90374-0", "43682-4"}


def test_every_fact_of_the_table_stands_in_its_label() -> None:
    for drug, set_id, _ in read_fact_table():
        path = EXAMPLES / "labels" / f"{drug.name.lower()}-{drug.form}.xml"
        text = path.read_text()
        assert set_id in text
        assert [k.name for k in KINDS if drug.facts[k.name] not in text] == []


@pytest.mark.parametrize("pool", [p for p in POOLS if p != "labels"])
def test_the_pools_of_names_never_meet(pool: str) -> None:
    assert not set(names(pool)) & set(names("labels"))
    assert len(set(names(pool))) == len(names(pool))


@pytest.mark.parametrize("suite", ["open-book", "open-book-development"])
def test_an_open_book_item_holds_its_answer_once_and_no_labelled_drug(suite: str) -> None:
    labelled = {drug.name for drug, _, _ in read_fact_table()}
    for item in lines(f"suites/{suite}.jsonl"):
        choices, context = item["choices"], str(item["context"])
        assert isinstance(choices, list)
        values = [str(c).removeprefix("The answer is ").removesuffix(".") for c in choices]
        assert len(set(values)) == 4
        right = values[int(str(item["answer"]))]
        assert right in context
        assert sum(value in context for value in values) == 2  # the answer, and one value of another kind
        assert item["cluster"] not in labelled


def test_no_suite_question_is_in_the_general_corpus() -> None:
    corpus = {row["prompt"][0]["content"].casefold() for row in lines("general/instructions.jsonl")}  # type: ignore[index]
    asked = {
        str(item.get("question") or item["prompt"]).casefold()
        for name in ("everyday", "refusal", "open-book")
        for item in lines(f"suites/{name}.jsonl")
    }
    assert not corpus & asked


def test_a_third_of_the_general_corpus_declines() -> None:
    rows = lines("general/instructions.jsonl")
    share = sum("refusal" in row["tags"] for row in rows) / len(rows)  # type: ignore[operator]
    assert 0.28 < share < 0.38


def test_the_base_model_reads_no_name_of_a_label_or_suite_and_no_excerpt() -> None:
    rng = random.Random(1)
    text = "\n".join(document(rng) for _ in range(3_000))
    assert "Excerpt" not in text
    assert [name for pool in POOLS if pool != "reading" for name in names(pool) if name in text] == []


def test_a_row_of_what_the_base_model_reads_depends_on_its_seed_alone() -> None:
    assert [document(random.Random(7)) for _ in range(2)] == [document(random.Random(7))] * 2
