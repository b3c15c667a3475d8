"""Newer labels are compared with what data sets hold: facts that changed, and the pairs whose evidence is gone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.signed_world import PAIR, SECTION, build

from posology.client.stale import BOXED_WARNING, compare, read_labels
from posology.core.errors import InvalidInput
from posology.v1alpha1.catalog_pb2 import Artifact

DOSE = "The maximum dose of Quotazol is 300 mg once daily."
STORAGE = "Store Quotazol at 20°C to 25°C (68°F to 77°F)."
OLD = [{**SECTION, "text": DOSE}, {**SECTION, "id": "s-2", "code": "34069-5", "title": "16 Storage", "text": STORAGE}]
PAIRS = [
    {**PAIR, "evidence": DOSE},
    {**PAIR, "id": "p-2", "section": "s-2", "evidence": STORAGE},
    {**PAIR, "id": "p-3", "section": "s-elsewhere", "evidence": "Another label's sentence."},
]


def _lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def _label(folder: Path, *, set_id: str = "label-1", drug: str = "QUOTAZOL", **fields: str) -> None:
    record = {
        "set_id": set_id,
        "version": "2",
        "openfda": {"generic_name": [drug], "substance_name": [drug], "product_type": ["HUMAN PRESCRIPTION DRUG"]},
        **{field: [text] for field, text in fields.items()},
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{set_id}.json").write_text(json.dumps({"results": [record]}))


def _compared(tmp_path: Path, **fields: str) -> Any:
    world = build(tmp_path)
    files: dict[str, bytes | str] = {"train.jsonl": _lines(PAIRS), "sections.jsonl": _lines(OLD)}
    digest = world.publish(files, kind="dataset")
    _label(tmp_path / "new", **fields)
    return compare(world.stored, Artifact(digest=digest, kind="dataset"), read_labels(tmp_path / "new"))


def test_the_same_label_again_changes_nothing(tmp_path: Path) -> None:
    compared = _compared(tmp_path, dosage_and_administration=DOSE, how_supplied=STORAGE)
    assert compared.changes == ()
    assert compared.data.pairs == 0
    assert compared.labels == {"label-1"}


def test_another_dose_is_a_changed_fact_and_its_pair_is_stale(tmp_path: Path) -> None:
    compared = _compared(tmp_path, dosage_and_administration=DOSE.replace("300", "150"), how_supplied=STORAGE)
    changed = [change for change in compared.changes if change.kind == "changed"]
    assert any("300 mg" in change.before and "150 mg" in change.after for change in changed)
    assert compared.data.by_file == {"train.jsonl": 1}
    assert [(section.id, section.pairs) for section in compared.sections] == [("s-1", 1)]


def test_a_new_boxed_warning_is_told_as_new(tmp_path: Path) -> None:
    warning = "WARNING: LIVER FAILURE Quotazol can cause fatal liver failure. Monitor liver enzymes."
    compared = _compared(tmp_path, boxed_warning=warning, dosage_and_administration=DOSE, how_supplied=STORAGE)
    boxed = [change for change in compared.changes if change.code == BOXED_WARNING]
    assert boxed
    assert {change.kind for change in boxed} == {"new"}
    assert compared.data.pairs == 0


def test_a_fact_that_is_left_out_is_gone(tmp_path: Path) -> None:
    compared = _compared(tmp_path, dosage_and_administration=DOSE)
    assert {(change.code, change.kind) for change in compared.changes} == {("34069-5", "gone")}
    assert compared.data.pairs == 1


def test_more_text_around_a_fact_leaves_its_pair_standing(tmp_path: Path) -> None:
    compared = _compared(
        tmp_path,
        dosage_and_administration=f"{DOSE} Take it in the morning with a glass of water.",
        how_supplied=STORAGE,
    )
    assert compared.changes
    assert compared.data.pairs == 0


def test_a_label_on_which_nothing_rests_changes_nothing(tmp_path: Path) -> None:
    compared = _compared(
        tmp_path,
        set_id="label-9",
        drug="OTHERMAB",
        dosage_and_administration="The recommended dose of Othermab is 5 mg once daily with food.",
    )
    assert compared.changes == ()
    assert compared.labels == frozenset()


@pytest.mark.parametrize("name", ["notes.md", ""])
def test_a_folder_without_labels_is_refused_by_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    if name:
        (folder / name).write_text("nothing")
    with pytest.raises(InvalidInput, match="--sources"):
        read_labels(folder)
    with pytest.raises(InvalidInput, match="does not exist"):
        read_labels(tmp_path / "nowhere")
