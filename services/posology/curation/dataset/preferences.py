"""Preference pairs: the good answer against the same answer with one clinical fact changed.

Two answers of equal length and style that differ in one fact teach the fact; "opposite" answers teach style.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from posology.core.errors import InvalidInput
from posology.curation.domain import CONTRADICTION, GENERAL, REFUSAL, Pair, Section, content_id, draw
from posology.curation.text.edits import KINDS, Edit, edits

_LENGTH = 0.1  # most that the two answers may differ in length, as a share of words


@dataclass(frozen=True)
class Preference:
    """One example for DPO."""

    id: str
    pair: Pair
    rejected: str
    kind: str  # which kind of fact was edited, or "weak" for a teacher's weaker answer
    before: str
    after: str

    def as_json(self) -> dict[str, Any]:
        """The line that `preferences.jsonl` holds."""
        return {
            "id": self.id,
            "prompt": [{"role": m.role, "content": m.content} for m in self.pair.prompt],
            "chosen": [{"role": "assistant", "content": self.pair.answer}],
            "rejected": [{"role": "assistant", "content": self.rejected}],
            "edit": {"from": self.before, "to": self.after, "kind": self.kind},
            "pair": self.pair.id,
            "drug": self.pair.drug,
            "section": self.pair.section,
            "evidence": self.pair.evidence,
        }


def edited_facts(pairs: Sequence[Pair], sections: Mapping[str, Section], *, wanted: int, seed: int) -> list[Preference]:
    """Exactly `wanted` preferences, kinds of facts in turns, one per pair first; InvalidInput if there are too few."""
    usable = [p for p in pairs if not {GENERAL, REFUSAL, CONTRADICTION} & set(p.tags) and not _is_filler(p)]
    labels: dict[str, list[str]] = {}
    for section in sections.values():
        labels.setdefault(section.set_id or section.source, []).append(section.text)
    order = sorted(usable, key=lambda pair: draw(seed, "preference", pair.id))
    chosen: list[Preference] = []
    counts: Counter[str] = Counter()
    queues = ((pair, _editable(pair, _label_texts(pair, sections, labels))) for pair in order)
    for pair, options in _rounds(queues):
        if len(chosen) == wanted:
            break
        edit = min(options, key=lambda one: (counts[one.kind], KINDS.index(one.kind), draw(seed, pair.id, one.text)))
        options.remove(edit)
        counts[edit.kind] += 1
        chosen.append(make_preference(pair, edit.text, kind=edit.kind, before=edit.before, after=edit.after))
    if len(chosen) < wanted:
        raise InvalidInput(
            f"{len(chosen)} of the {wanted} preference pairs wanted can be made: {len(usable)} pairs have only so many "
            "facts to edit. Ask for fewer in spec.curation.preferences.pairs, or for more pairs."
        )
    return chosen


def make_preference(pair: Pair, rejected: str, *, kind: str, before: str = "", after: str = "") -> Preference:
    """A preference whose id follows from its content."""
    return Preference(content_id("d", pair.id, rejected), pair, rejected, kind, before, after)


def _rounds(queues: Iterable[tuple[Pair, list[Edit]]]) -> Iterator[tuple[Pair, list[Edit]]]:
    """Each pair once, read only as far as anybody asks; then those with edits left once more, until none is left."""
    while True:
        left = []
        for pair, options in queues:
            if options:
                yield pair, options
                left.append((pair, options))
        if not left:
            return
        queues = left


def _label_texts(pair: Pair, sections: Mapping[str, Section], labels: Mapping[str, list[str]]) -> Sequence[str]:
    """The whole label: an edit that any of its sections states is no wrong answer."""
    section = sections.get(pair.section)
    return labels[section.set_id or section.source] if section else (pair.answer,)


def _is_filler(pair: Pair) -> bool:
    return pair.question_type.removeprefix("open-book/") in {"check", "gap"}


def _editable(pair: Pair, label: Sequence[str]) -> list[Edit]:
    if pair.question.startswith(("Name one", "Name indications", "Quote one sentence")):
        return []  # of several right answers one is altered: that is no wrong answer to the question
    found = edits(pair.answer, context=label, drug=pair.drug, kind=pair.question_type.removeprefix("open-book/"))
    return [edit for edit in found if length_matched(pair.answer, edit.text)]


def length_matched(chosen: str, rejected: str) -> bool:
    """Whether the two lengths differ by a tenth at most, or by two words for short answers."""
    one, other = len(chosen.split()), len(rejected.split())
    return abs(one - other) <= max(2, _LENGTH * one)
