"""Real labels, SPL and openFDA mixed, with every screen on: MinHash, MiniLM, decontamination."""

import json
import shutil
import time
from pathlib import Path

import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from support.curation_world import World

from posology.curation.text.quantities import quantities

PAIRS = 600


@pytest.mark.slow
async def test_real_labels_of_both_formats_give_hundreds_of_pairs_on_many_drugs(
    world: World, shared_data: Path
) -> None:
    for part in ("spl_xml", "openfda/openfda_labels.jsonl.gz"):
        (world.root / "sources" / part).parent.mkdir(exist_ok=True)
        copied = world.root / "sources" / part
        _copy(shared_data / part, copied)
    questions = (shared_data / "mcq/medmcqa_dev.jsonl").read_text().splitlines()[:500]
    (world.root / "sources" / "suite.jsonl").write_text("\n".join(questions))
    started = time.monotonic()
    dataset = await world.finished(
        (
            await world.create(
                "real",
                sources=[
                    {"uri": f"file://{world.root}/sources/spl_xml", "format": "SPL"},
                    {"uri": f"file://{world.root}/sources/openfda/openfda_labels.jsonl.gz", "format": "OPENFDA"},
                ],
                pairs=PAIRS,
                validation=60,
                filters={},
                deduplicate={},
                suites=[f"file://{world.root}/sources/suite.jsonl"],
            )
        ).name,
        seconds=500,
    )
    print(f"\n{PAIRS} pairs in {time.monotonic() - started:.0f} s: {json.dumps(_plain(dataset.status.summary))[:600]}")
    digest = dataset.status.artifact
    assert digest, dataset.status.error
    rows = world.lines(digest, "train.jsonl") + world.lines(digest, "validation.jsonl")
    assert len(rows) == PAIRS
    assert len({row["drug"] for row in rows}) >= 30
    assert {row["source"].rsplit(".", 1)[-1] for row in rows} == {"xml", "gz"}
    assert len({row["question_type"] for row in rows}) >= 8
    _every_answer_is_the_labels_own(
        rows, {s["id"]: f"{s['text']} {s.get('brands')}" for s in world.lines(digest, "sections.jsonl")}
    )


def _every_answer_is_the_labels_own(rows: list[dict[str, str]], sections: dict[str, str]) -> None:
    """But what is part of the drug's name: peginterferon alfa-2b."""
    invented = {
        row["id"]: quantities(str(row["completion"])) - quantities(f"{sections[row['section']]} {row['drug']}")
        for row in rows
    }
    assert not {row["id"]: (invented[row["id"]], row) for row in rows if invented[row["id"]]}


def _plain(summary: object) -> object:
    return MessageToDict(summary) if isinstance(summary, Struct) else {}


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target) if source.is_dir() else shutil.copyfile(source, target)
