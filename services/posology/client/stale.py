"""What newer labels change of the facts that data sets, models, deployments and answers rest on."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posology.client.recall import DATA_KINDS, PAIR_FILES, Data, Recall, Section, downstream
from posology.client.stored import Stored
from posology.core.errors import InvalidInput, Violation
from posology.v1alpha1 import catalog_pb2

if TYPE_CHECKING:
    from posology.client.client import Client

BOXED_WARNING = "34066-1"
_ENDINGS = {".xml": "SPL", ".json": "OPENFDA", ".jsonl": "OPENFDA"}
_SHOWN = 300  # characters of a statement before and after


@dataclass(frozen=True)
class Change:
    """One fact that a newer label states in another way, no longer, or for the first time."""

    drug: str
    set_id: str
    code: str
    """LOINC code of the section."""
    title: str
    kind: str
    """`changed`, `gone` or `new`."""
    question: str
    """What the fact answers; "" where the text changed and no single fact could be read."""
    before: str
    after: str


@dataclass(frozen=True)
class Stale:
    """What the new labels change, and everything that rests on what they changed."""

    labels: int
    """Labels among the new ones on which some data set rests."""
    unknown: int
    """New labels on which no data set rests."""
    changes: tuple[Change, ...]
    recall: Recall
    """What rests on the changed sections; `pairs` counts those whose evidence the new label no longer has."""

    @property
    def boxed_warnings(self) -> tuple[Change, ...]:
        """Changes of boxed warnings: the strongest reason to withdraw."""
        return tuple(change for change in self.changes if change.code == BOXED_WARNING and change.kind != "gone")


async def stale(client: "Client", sources: Path) -> Stale:
    """Compare labels below a folder with all data: SPL as .xml, openFDA as .json or .jsonl, gzipped or zipped too."""
    new = await asyncio.to_thread(read_labels, sources)
    stored = client.stored()
    artifacts = [artifact for kind in DATA_KINDS for artifact in await client.artifacts(kind)]
    compared = [await asyncio.to_thread(compare, stored, artifact, new) for artifact in artifacts]
    unread = tuple([one.digest for one in artifacts if await asyncio.to_thread(stored.holding, one.digest) is None])
    changes = {change: None for one in compared for change in one.changes}
    data = tuple(one.data for one in compared if one.data.pairs)
    known = {label for one in compared for label in one.labels}
    return Stale(
        labels=len(known),
        unknown=len(set(new) - known),
        changes=tuple(sorted(changes, key=lambda c: (c.code != BOXED_WARNING, c.drug, c.code, c.kind, c.question))),
        recall=await downstream(
            client,
            what=str(sources),
            matched_as="newer labels",
            sections=tuple({section.id: section for one in compared for section in one.sections}.values()),
            data=data,
            unread=unread,
        ),
    )


Rows = Sequence[Mapping[str, Any]]


def read_labels(sources: Path) -> dict[str, Rows]:
    """Sections of the newest version of each label, as `sections.jsonl` has them, by set id (by drug without one)."""
    from posology.curation.dataset.corpus import gather  # brings parsers, which no other command should wait for
    from posology.curation.recipe import Source
    from posology.curation.sources.location import Limits

    root = sources.resolve()
    if not root.exists():
        raise InvalidInput.of([Violation("--sources", f"{sources} does not exist")])
    files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
    formats = sorted({_format(file) for file in files} - {""})
    if not formats:
        raise InvalidInput.of([Violation("--sources", f"{sources} holds no label: *.xml (SPL), *.json or *.jsonl")])
    limits = Limits((root.parent if root.is_file() else root,))
    wanted = [Source(root.as_uri(), format_name) for format_name in formats]
    corpus = gather(wanted, limits, progress=lambda *_: None)
    labels: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for section in corpus.sections:
        row = section.as_json()
        labels[_label(row)].append(row)
    return dict(labels)


def _format(file: Path) -> str:
    name = file.name.casefold().removesuffix(".gz").removesuffix(".zip")
    return next((format_name for ending, format_name in _ENDINGS.items() if name.endswith(ending)), "")


def _label(row: Mapping[str, Any]) -> str:
    return str(row["set_id"]) or str(row["drug"]).casefold()


@dataclass(frozen=True)
class Compared:
    """What the new labels change for one artifact; `data.pairs` counts pairs whose evidence is gone."""

    changes: tuple[Change, ...]
    sections: tuple[Section, ...]
    data: Data
    labels: frozenset[str]


def compare(stored: Stored, artifact: catalog_pb2.Artifact, new: Mapping[str, Rows]) -> Compared:
    """Hold an artifact's sections and pairs against the new labels. Bytes that are gone have nothing."""
    old: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in stored.rows(artifact.digest, "sections.jsonl"):
        if _label(row) in new:
            old[_label(row)].append(row)
    changes: list[Change] = []
    changed: dict[str, Mapping[str, Any]] = {}
    for label, rows in old.items():
        for code in sorted({row["code"] for row in (*rows, *new[label])}):
            before, after = (_of_code(side, code) for side in (rows, new[label]))
            if _text(before) != _text(after):
                changed.update({row["id"]: row for row in before})
                changes.extend(_changes(code, rows, new[label]))
    counts: dict[str, int] = dict.fromkeys(changed, 0)
    by_file, total = dict[str, int](), 0
    for path in PAIR_FILES[artifact.kind]:
        for row in stored.rows(artifact.digest, path):
            total += 1
            if row["section"] in changed and not _still_stands(row, new[_label(changed[row["section"]])]):
                counts[row["section"]] += 1
                by_file[path] = by_file.get(path, 0) + 1
    sections = tuple(
        Section(id, row["drug"], row["title"], row["code"], row["set_id"], row["source"], counts[id])
        for id, row in changed.items()
    )
    data = Data(artifact.digest, artifact.kind, sum(by_file.values()), total, by_file, artifact.quarantine_reason)
    return Compared(tuple(changes), sections, data, frozenset(old))


def _of_code(rows: Rows, code: str) -> list[Mapping[str, Any]]:
    return [row for row in rows if row["code"] == code]


def _text(rows: Rows) -> str:
    """All text of one code; the order and number of sections under it do not matter."""
    return "\n".join(sorted(" ".join(str(row["text"]).split()) for row in rows))


def _changes(code: str, old: Rows, new: Rows) -> Iterable[Change]:
    """Facts of one code that differ; the text itself where none could be read."""
    before, after = _facts(code, old), _facts(code, new)
    first = (_of_code(new, code) or _of_code(old, code))[0]
    place = (first["drug"], first["set_id"], code, first["title"])
    questions = [q for q in {**before, **after} if before.get(q) != after.get(q)]
    for question in questions:
        kind = "changed" if question in before and question in after else "gone" if question in before else "new"
        yield Change(*place, kind, question, before.get(question, ""), after.get(question, ""))
    if not questions:
        texts = [_text(_of_code(side, code)) for side in (old, new)]
        kind = "changed" if all(texts) else "gone" if texts[0] else "new"
        yield Change(*place, kind, "", *_where_they_part(*texts))


def _facts(code: str, rows: Rows) -> dict[str, str]:
    """Question -> statement of the sections of one code, as the embedded teacher reads them."""
    from posology.curation.domain import section_from_json
    from posology.curation.teachers import over_the_counter, patterns, statements, tables  # noqa: F401  register readers
    from posology.curation.teachers.facts import Place, facts_of

    sections = [section_from_json(row) for row in rows]
    facts: dict[str, str] = {}
    for section in sections:
        if section.code == code:
            place = Place(section, tuple(other for other in sections if other is not section))
            facts.update({fact.questions[0]: fact.statement for fact in facts_of(place)})
    return facts


def _where_they_part(before: str, after: str) -> tuple[str, str]:
    start = next(
        (n for n, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), min(len(before), len(after))
    )
    start = max(0, before.rfind(" ", 0, max(0, start - 40)) + 1)
    return before[start : start + _SHOWN], after[start : start + _SHOWN]


def _still_stands(pair: Mapping[str, Any], new: Rows) -> bool:
    """Whether each line of the pair's evidence stands somewhere in the new label."""
    from posology.curation.text.normal import normal
    from posology.curation.text.repair import plain_text

    texts = [normal(text) for row in new for text in (str(row["text"]), plain_text(str(row["text"])))]
    lines = [normal(line.removeprefix("- ")).rstrip(" .") for line in str(pair.get("evidence", "")).split("\n")]
    return bool(any(lines)) and all(any(line in text for text in texts) for line in lines if line)
