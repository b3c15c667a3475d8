"""A recall names a section, a label, a drug or a source file, and counts the pairs that rest on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from support.signed_world import PAIR, SECTION, build

from posology.client.recall import look, match
from posology.v1alpha1.catalog_pb2 import Artifact

OTHER = {**SECTION, "id": "s-2", "title": "16 Storage"}


def test_each_name_of_a_section_finds_it() -> None:
    rows = [SECTION, OTHER]
    assert match(rows, "s-2") == ("section", (OTHER,))
    assert match(rows, "label-1") == ("label", (SECTION, OTHER))
    assert match(rows, " Quotazol ") == ("drug", (SECTION, OTHER))
    assert match(rows, "quotazol.xml") == ("source file", (SECTION, OTHER))
    assert match(rows, "quota") == ("", ())


def test_pairs_are_counted_by_file_and_section(tmp_path: Path) -> None:
    world = build(tmp_path)
    unplaced = {**PAIR, "id": "p-2", "section": ""}
    stranger = {**PAIR, "id": "p-3", "section": "", "drug": "", "source": "everyday.jsonl"}
    files: dict[str, bytes | str] = {
        "train.jsonl": _lines(PAIR, unplaced, stranger),
        "validation.jsonl": _lines({**PAIR, "id": "p-4"}),
        "sections.jsonl": _lines(SECTION, OTHER),
    }
    digest = world.publish(files, kind="dataset")
    found = look(world.stored, Artifact(digest=digest, kind="dataset"), "QUOTAZOL")
    assert found.matched_as == "drug"
    assert found.data.by_file == {"train.jsonl": 2, "validation.jsonl": 1}
    assert (found.data.pairs, found.data.of) == (3, 4)
    assert found.counts["s-1"] == 2
    assert found.counts["s-2"] == 0


def test_data_that_are_gone_have_nothing(tmp_path: Path) -> None:
    world = build(tmp_path)
    gone = Artifact(digest="sha256:" + "0" * 64, kind="dataset")
    assert look(world.stored, gone, "quotazol").data.pairs == 0


def _lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)
