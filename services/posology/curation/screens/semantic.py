"""Paraphrases by embedding, guarded by the clinical fingerprint.

No cosine threshold is safe alone: "CrCl below 30" and "CrCl above 30" are at .999, real paraphrases at .79-.84. So
equal facts and a high cosine are a duplicate; different facts and a high cosine are a possible contradiction, which
stays in the data set, tagged for the experts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from posology.curation.domain import CONTRADICTION, GENERAL, Drop, Pair
from posology.curation.screens.screening import Screened, said
from posology.curation.text.quantities import COMMON_DRUGS, Fingerprint, fingerprint
from posology.curation.text.questions import bare_question, is_open_book

Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Embed = Callable[[Sequence[str]], Vectors]
_BLOCK = 4096  # rows of accepted vectors per product
_BY_DESIGN = frozenset({"check", "gap", "open-book/gap"})  # such questions differ in one fact on purpose
REMOVED_SHARE = 0.5  # of one source's pairs; beyond it the threshold is wrong for that source, and pairs are kept


@dataclass
class SemanticScreen:
    """Drops paraphrases of accepted pairs; `drugs` are the names that count as a fact."""

    threshold: float
    embed: Embed
    drugs: frozenset[str] = COMMON_DRUGS
    _pairs: list[Pair] = field(default_factory=list)
    _facts: list[Fingerprint] = field(default_factory=list)
    _vectors: list[Vectors] = field(default_factory=list)
    _seen: dict[str, int] = field(default_factory=dict)
    _removed: dict[str, int] = field(default_factory=dict)

    def screen(self, batch: Sequence[Pair]) -> Screened:
        vectors = self.embed([said(pair) for pair in batch])
        near = self._near(vectors)
        kept: list[Pair] = []
        drops: list[Drop] = []
        for row, pair in enumerate(batch):
            facts = fingerprint(said(pair), drugs=self.drugs)
            self._seen[pair.source] = self._seen.get(pair.source, 0) + 1
            verdict = self._judge(pair, facts, [*near[row], *self._near_in_batch(vectors, row)])
            if isinstance(verdict, Drop):
                self._removed[pair.source] = self._removed.get(pair.source, 0) + 1
                drops.append(verdict)
            else:
                kept.append(verdict)
                self._pairs.append(verdict)
                self._facts.append(facts)
                self._vectors.append(vectors[row : row + 1])
        return Screened(tuple(kept), tuple(drops))

    def _judge(self, pair: Pair, facts: Fingerprint, near: list[tuple[int, float]]) -> Pair | Drop:
        for number, cosine in near:
            other = self._pairs[number]
            alike = pair.family == other.family and is_open_book(pair.question) == is_open_book(other.question)
            if alike and facts == self._facts[number] and not self._too_many(pair.source):
                detail = f"cosine {cosine:.3f} with {other.id} and the same facts"
                return Drop("duplicate", "paraphrase", detail, pair=pair)
        if any(self._contradicts(pair, facts, number) for number, _ in near):
            return pair.tagged(CONTRADICTION)
        return pair

    def _contradicts(self, pair: Pair, facts: Fingerprint, number: int) -> bool:
        """Nearly the same words about the same drug, but another fact: one of the two may be wrong."""
        other = self._pairs[number]
        same_kind = pair.question_type == other.question_type and pair.question_type not in _BY_DESIGN
        return GENERAL not in pair.tags and pair.drug == other.drug and same_kind and facts != self._facts[number]

    def _too_many(self, source: str) -> bool:
        seen = self._seen.get(source, 0)
        return seen >= 20 and self._removed.get(source, 0) >= REMOVED_SHARE * seen

    def _near(self, vectors: Vectors) -> list[list[tuple[int, float]]]:
        """Accepted pairs at or above the threshold, per row of the batch, nearest first."""
        found: list[list[tuple[int, float]]] = [[] for _ in range(len(vectors))]
        self._first = len(self._pairs)
        known = np.concatenate(self._vectors) if self._vectors else np.zeros((0, vectors.shape[1]), np.float32)
        self._vectors = [known] if len(known) else []
        for start in range(0, len(known), _BLOCK):
            cosines = vectors @ known[start : start + _BLOCK].T
            for row, column in zip(*np.nonzero(cosines >= self.threshold), strict=True):
                found[row].append((start + int(column), float(cosines[row, column])))
        return [sorted(near, key=lambda one: (-one[1], one[0])) for near in found]

    def _near_in_batch(self, vectors: Vectors, row: int) -> list[tuple[int, float]]:
        """The same against what this batch has added so far."""
        added = self._vectors[1:] if self._first else self._vectors
        if not added:
            return []
        cosines = (np.concatenate(added) @ vectors[row]).tolist()
        near = [(self._first + at, cosine) for at, cosine in enumerate(cosines) if cosine >= self.threshold]
        return sorted(near, key=lambda one: (-one[1], one[0]))


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
        cosines = self.embed(asked) @ self._vectors.T
        kept: list[Pair] = []
        drops: list[Drop] = []
        for row, pair in enumerate(batch):
            drop = self._match(pair, asked[row], cosines[row])
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
