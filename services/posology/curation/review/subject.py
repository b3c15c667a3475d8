"""What a review looks at: the frame and the items of a data set or preference set, read from its artifact."""

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from posology.core.artifacts import ArtifactStore
from posology.core.errors import InvalidInput, Violation
from posology.core.visible import visible
from posology.curation.domain import GENERAL, content_id, draw
from posology.curation.review.domain import KEPT, Item, Policy, Stratum, Task
from posology.curation.review.sampling import Unit, frame_digest, sample
from posology.curation.review.strata import Earlier, strata_of
from posology.curation.review.tries import Frame

KINDS = ("dataset", "preferences", "evaluation")
ANSWERS: Mapping[Task, str] = {Task.RATE_CORRECTNESS: "human.jsonl", Task.LABEL_REFUSALS: "refusals.jsonl"}
"""In an evaluation: the answers that people shall rate, or label, in the form of a data set's rows."""


@dataclass(frozen=True)
class Drawn:
    """A frozen frame and what was drawn from it."""

    frame_size: int
    items: tuple[Item, ...]
    strata: tuple[Stratum, ...] = ()


def frame_of(store: ArtifactStore, subject: str, task: Task = Task.RATE_CORRECTNESS) -> tuple[str, Frame]:
    """The kind of an artifact, and the rows that a sample is drawn from. Blocking; errors as of `draw_items`."""
    kind = _checked_kind(store, subject, task)
    rows = frozenset(row["id"] for row in _frame(store, subject, kind, task))
    return kind, Frame(rows, frame_digest(rows))


def draw_items(
    store: ArtifactStore,
    subject: str,
    policy: Policy,
    *,
    seed: int,
    task: Task = Task.RATE_CORRECTNESS,
    known: Earlier | None = None,
) -> Drawn:
    """Read the artifact, freeze its frame (general pairs are no part of it), and draw; all are labelled. Blocking.

    `known` is a closed review of the set that this one corrects: the rows that changed are a stratum of their own then.

    Raises NotFound for an unknown digest, InvalidInput for an artifact that is no data set or preference set.
    """
    kind = _checked_kind(store, subject, task)
    rows = {row["id"]: row for row in _frame(store, subject, kind, task)}
    if not rows:
        missing = ", for no gate of it is judged" if task is Task.LABEL_REFUSALS else ""
        raise InvalidInput.of([Violation("subject", f"holds nothing to review{missing}")])
    codes = {row["id"]: row["code"] for row in lines(store, subject, "sections.jsonl")}
    units = [Unit(id, (codes.get(row["section"], ""), row["drug"])) for id, row in rows.items()]
    before = {row["id"] for row in _frame(store, known.subject, kind, task)} if known else set()
    strata = strata_of(rows, before, policy, known) if known else ()
    size = len(units) if task is Task.LABEL_REFUSALS else policy.planned(len(units))
    chosen, stratum_of = _chosen(units, before, strata, size, seed)
    sections = _sections(store, subject, {rows[id]["section"] for id in chosen})
    items = tuple(
        replace(_item(rows[id], sections.get(rows[id]["section"], {}), position, seed), stratum=stratum_of.get(id, ""))
        for position, id in enumerate(chosen)
    )
    again = sorted(items, key=lambda item: draw(seed, "again", item.id))[: policy.repeats]
    repeats = tuple(
        replace(
            item,
            id=content_id("i", str(seed), "again", item.pair),
            position=len(items) + n,
            repeat_of=item.id,
            stratum="",
        )
        for n, item in enumerate(again)
    )
    return Drawn(len(units), items + repeats, strata)


def _checked_kind(store: ArtifactStore, subject: str, task: Task) -> str:
    kind = store.manifest(subject).kind
    if kind not in KINDS:
        reason = f"is a {kind}; only a dataset, preferences or an evaluation's answers are reviewed"
        raise InvalidInput.of([Violation("subject", reason)])
    if task is Task.LABEL_REFUSALS and kind != "evaluation":
        reason = f"is a {kind}; refusals are labelled in an evaluation"
        raise InvalidInput.of([Violation("subject", reason)])
    return kind


def _chosen(
    units: Sequence[Unit], before: set[str], strata: Sequence[Stratum], size: int, seed: int
) -> tuple[list[str], dict[str, str]]:
    """Ids in the order in which they were drawn, and the stratum of each; without strata one sample of all."""
    if not strata:
        return sample(units, size=size, seed=seed), {}
    stratum_of: dict[str, str] = {}
    for stratum in strata:
        own = [unit for unit in units if (unit.id in before) == (stratum.name == KEPT)]
        if stratum.planned:
            stratum_of |= dict.fromkeys(sample(own, size=stratum.planned, seed=seed), stratum.name)
    return sorted(stratum_of, key=lambda id: draw(seed, "order", id)), stratum_of


def lines(store: ArtifactStore, digest: str, path: str) -> Iterator[dict[str, Any]]:
    """The JSON lines of one file of an artifact; nothing when it has no such file."""
    if path not in {file.path for file in store.manifest(digest).files}:
        return
    with store.open(digest, path) as raw:
        for line in io.TextIOWrapper(raw, encoding="utf-8"):
            if line.strip():
                yield json.loads(line)


def _frame(store: ArtifactStore, subject: str, kind: str, task: Task) -> Iterator[dict[str, Any]]:
    if kind == "evaluation":
        yield from lines(store, subject, ANSWERS[task])
        return
    if kind == "preferences":
        yield from lines(store, subject, "preferences.jsonl")
        return
    for path in ("train.jsonl", "validation.jsonl"):
        yield from (row for row in lines(store, subject, path) if GENERAL not in row["tags"])


def _sections(store: ArtifactStore, subject: str, ids: set[str]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in lines(store, subject, "sections.jsonl") if row["id"] in ids}


def _question(turns: list[dict[str, Any]]) -> str:
    """All that the model is told, a system message included; roles are named where there is more than one turn."""
    if len(turns) == 1:
        return str(turns[0]["content"])
    return "\n".join(f"[{turn['role']}] {turn['content']}" for turn in turns)


def _item(row: dict[str, Any], section: dict[str, Any], position: int, seed: int) -> Item:
    chosen = row["chosen"] if "chosen" in row else row["completion"]
    rejected = row["rejected"][0]["content"] if "rejected" in row else ""
    # What a reviewer judges is what trains: a character that the screen would not show is written out.
    return Item(
        id=content_id("i", str(seed), row["id"]),  # says nothing about the pair: the queue is blind
        position=position,
        pair=row["id"],
        question=visible(_question(row["prompt"])),
        answer=visible(chosen[-1]["content"]),
        rejected=visible(rejected),
        evidence=visible(row.get("evidence", "")),
        section_text=visible(section.get("text", "")),
        section_title=visible(section.get("title", "")),
        drug=visible(row.get("drug", "")),
    )
