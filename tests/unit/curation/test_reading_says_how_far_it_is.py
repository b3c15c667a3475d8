"""A folder's one big file takes longer than all of its small ones: progress counts labels too, and promises no time."""

import json
from pathlib import Path

from posology.curation.dataset.corpus import gather
from posology.curation.recipe import Source
from posology.curation.sources.location import Limits


def label(number: int) -> dict[str, object]:
    text = [f"Drug{number} tablets are indicated for the treatment of hypertension in adults, number {number}."]
    openfda = {"generic_name": [f"DRUG{number}"]}
    return {"set_id": f"set-{number}", "version": "1", "indications_and_usage": text, "openfda": openfda}


def test_a_big_file_is_counted_by_its_labels(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"results": [label(0)]}))
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(label(n)) for n in range(1, 131)))
    reports: list[tuple[float, float, str]] = []
    gather(
        [Source(tmp_path.as_uri(), "OPENFDA")],
        Limits((tmp_path,)),
        progress=lambda done, total, message: reports.append((done, total, message)),
    )
    assert {total for _, total, _ in reports} == {0}  # files differ too much in size to tell the time that is left
    assert [message for _, _, message in reports] == [
        "reading a.json, file 1 of 2",
        "reading b.jsonl, file 2 of 2",
        "reading b.jsonl, file 2 of 2: 50 labels",
        "reading b.jsonl, file 2 of 2: 100 labels",
    ]
