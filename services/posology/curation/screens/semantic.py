"""Paraphrases by embedding, guarded by the clinical fingerprint, and embedded only where two pairs can collide.

No cosine threshold is safe alone: "CrCl below 30" and "CrCl above 30" are at .999, real paraphrases at .79-.84. So
equal facts and a high cosine are a duplicate; different facts and a high cosine are a possible contradiction, which
stays in the data set, tagged for the experts. Two pairs can be duplicates only when they speak of one family with one
fingerprint, and can contradict each other only when two labels speak of one drug in one kind of question: every other
pair is never embedded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from posology.curation.domain import CONTRADICTION, GENERAL, Drop, Pair
from posology.curation.screens.screening import Screened, compared
from posology.curation.text.normal import tokens
from posology.curation.text.quantities import COMMON_DRUGS, Fingerprint, fingerprint
from posology.curation.text.questions import bare_question, is_open_book

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Embed = Callable[[Sequence[str]], Vectors]
_BY_DESIGN = frozenset({"check", "gap", "open-book/gap"})  # such questions differ in one fact on purpose
REMOVED_SHARE = 0.5  # of one source's pairs; beyond it the threshold is wrong for that source, and pairs are kept
SAME_ATTRIBUTE = 0.22  # how much lower the threshold is when drug, kind of question and all facts are the same


@dataclass
class _Known:
    """An accepted pair; its vector is made when something may collide with it."""

    pair: Pair
    facts: Fingerprint
    words: frozenset[str]
    vector: np.ndarray[tuple[int], np.dtype[np.float32]] | None = None


@dataclass
class SemanticScreen:
    """Drops paraphrases of accepted pairs; `drugs` are the names that count as a fact.

    `label_of` names the label of a section: parts of one label complete each other, two labels may disagree.
    """

    threshold: float
    embed: Embed
    drugs: frozenset[str] = COMMON_DRUGS
    label_of: Mapping[str, str] = field(default_factory=dict)
    _same_facts: dict[tuple[object, ...], list[_Known]] = field(default_factory=dict)
    _same_attribute: dict[tuple[str, str], list[_Known]] = field(default_factory=dict)
    _seen: dict[str, int] = field(default_factory=dict)
    _removed: dict[str, int] = field(default_factory=dict)

    def screen(self, batch: Sequence[Pair]) -> Screened:
        texts = [compared(pair) for pair in batch]
        entries = [
            _Known(pair, fingerprint(text, drugs=self.drugs), frozenset(tokens(text)))
            for pair, text in zip(batch, texts, strict=True)
        ]
        self._embed_colliding(entries)
        kept: list[Pair] = []
        drops: list[Drop] = []
        for entry in entries:
            source = entry.pair.source
            self._seen[source] = self._seen.get(source, 0) + 1
            judged = self._judge(entry)
            if isinstance(judged, Drop):
                self._removed[source] = self._removed.get(source, 0) + 1
                drops.append(judged)
            else:
                entry.pair = judged
                kept.append(judged)
                self._remember(entry)
        return Screened(tuple(kept), tuple(drops))

    def _embed_colliding(self, entries: Sequence[_Known]) -> None:
        """Vectors for all pairs of the batch that share a block with another pair, and for those others."""
        facts: dict[tuple[object, ...], list[_Known]] = {}
        attributes: dict[tuple[str, str], list[_Known]] = {}
        for entry in entries:
            facts.setdefault(self._facts_key(entry), []).append(entry)
            attributes.setdefault(self._attribute_key(entry), []).append(entry)
        together = [[*self._same_facts.get(key, ()), *mine] for key, mine in facts.items()]
        for attribute, mine in attributes.items():
            block = [*self._same_attribute.get(attribute, ()), *mine]
            together.extend(self._nearly_the_same(block, mine))
        colliding = {id(e): e for block in together if len(block) > 1 for e in block if e.vector is None}
        missing = list(colliding.values())
        if missing:
            for entry, vector in zip(missing, self.embed([compared(e.pair) for e in missing]), strict=True):
                entry.vector = vector

    def _nearly_the_same(self, block: Sequence[_Known], new: Sequence[_Known]) -> list[list[_Known]]:
        """Pairs of a block that may contradict each other: two labels, other facts, and mostly the same words.

        A cosine of a contradiction is above .9, and texts with few words in common do not come near it.
        """
        return [
            [one, other]
            for one in new
            for other in block
            if one is not other and self._disagree(one, other) and _overlap(one, other) >= _COMMON_WORDS
        ]

    def _judge(self, entry: _Known) -> Pair | Drop:
        pair = entry.pair
        for other in self._same_facts.get(self._facts_key(entry), ()):
            cosine = _cosine(entry, other)
            relaxed = SAME_ATTRIBUTE if pair.question_type == other.pair.question_type and pair.drug else 0.0
            if (
                cosine >= self.threshold - relaxed
                and not self._too_many(pair.source)
                and not self._apart(pair, other.pair)
            ):
                detail = f"cosine {cosine:.3f} with {other.pair.id} and the same facts"
                return Drop("duplicate", "paraphrase", detail, pair=pair)
        for other in self._same_attribute.get(self._attribute_key(entry), ()):
            if self._disagree(entry, other) and _cosine(entry, other) >= self.threshold:
                return pair.tagged(CONTRADICTION)
        return pair

    def _apart(self, one: Pair, other: Pair) -> bool:
        """Two sections of one label under questions that name different headings: parts of one answer, no copies."""
        same_label = bool(one.section) and self.label_of.get(one.section) == self.label_of.get(other.section, "\0")
        return (
            same_label
            and one.section != other.section
            and one.answer != other.answer
            and one.question != other.question
        )

    def _disagree(self, entry: _Known, other: _Known) -> bool:
        """Nearly the same words on the same drug in two labels, but another fact: one of the two may be wrong."""
        by_design = entry.pair.question_type in _BY_DESIGN or GENERAL in entry.pair.tags
        labels = self._label(entry), self._label(other)
        two_labels = not entry.pair.section or not other.pair.section or labels[0] != labels[1] or not self.label_of
        return not by_design and two_labels and entry.facts != other.facts

    def _label(self, entry: _Known) -> str:
        return self.label_of.get(entry.pair.section, entry.pair.section or entry.pair.id)

    def _remember(self, entry: _Known) -> None:
        self._same_facts.setdefault(self._facts_key(entry), []).append(entry)
        self._same_attribute.setdefault(self._attribute_key(entry), []).append(entry)

    def _facts_key(self, entry: _Known) -> tuple[object, ...]:
        return ("facts", entry.pair.family, is_open_book(entry.pair.question), entry.facts)

    def _attribute_key(self, entry: _Known) -> tuple[str, str]:
        return entry.pair.drug, entry.pair.question_type

    def _too_many(self, source: str) -> bool:
        seen = self._seen.get(source, 0)
        return seen >= 20 and self._removed.get(source, 0) >= REMOVED_SHARE * seen


_COMMON_WORDS = 0.4  # Jaccard of words; contrasts that MiniLM puts above .9 have more than .6


def _overlap(one: _Known, other: _Known) -> float:
    return len(one.words & other.words) / max(1, len(one.words | other.words))


def _cosine(one: _Known, other: _Known) -> float:
    if one.vector is None or other.vector is None:
        return -1.0
    return float(one.vector @ other.vector)


@dataclass
class SuiteSemanticScreen:
    """Drops pairs that ask a suite's question in other words: a high cosine and the same facts."""

    threshold: float
    embed: Embed
    questions: Sequence[str]
    drugs: frozenset[str] = COMMON_DRUGS

    def __post_init__(self) -> None:
        self._vectors = self.embed(list(self.questions))
        self._facts = [fingerprint(question, drugs=self.drugs) for question in self.questions]

    def screen(self, batch: Sequence[Pair]) -> Screened:
        asked = [bare_question(pair.question) for pair in batch]
        known = set(self._facts)
        unique = [q for q in dict.fromkeys(asked) if fingerprint(q, drugs=self.drugs) in known]
        rows = dict(zip(unique, self.embed(unique) @ self._vectors.T, strict=True)) if unique else {}
        kept: list[Pair] = []
        drops: list[Drop] = []
        for question, pair in zip(asked, batch, strict=True):
            drop = self._match(pair, question, rows[question]) if question in rows else None
            (drops.append(drop) if drop else kept.append(pair))
        return Screened(tuple(kept), tuple(drops))

    def _match(self, pair: Pair, question: str, cosines: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Drop | None:
        facts = fingerprint(question, drugs=self.drugs)
        for column in np.argsort(-cosines, kind="stable"):
            if cosines[column] < self.threshold:
                return None
            if facts == self._facts[column]:
                detail = f'cosine {cosines[column]:.3f} with a suite\'s question: "{self.questions[column][:200]}"'
                return Drop("contamination", "embedding", detail, pair=pair)
        return None
