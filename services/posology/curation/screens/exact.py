"""Exact duplicates: the same question in the same normal form."""

import xxhash

from posology.curation.domain import CONTRADICTION, Drop, Pair
from posology.curation.text.normal import normal
from posology.curation.text.quantities import fingerprint


def key(text: str) -> bytes:
    """128 bits that are equal when two texts differ only in Unicode form, white space and case."""
    return xxhash.xxh3_128_digest(normal(text).encode())


class Exact:
    """Remembers the prompts and answers that were accepted; lives as long as one data set is made."""

    def __init__(self) -> None:
        self._answers: dict[bytes, list[tuple[str, str]]] = {}

    def check(self, pair: Pair) -> Drop | None:
        """A drop when the prompt was accepted with the same facts; None when it is new, or answered otherwise."""
        for first, answer in self._answers.get(_prompt(pair), ()):
            if key(answer) == key(pair.answer):
                return Drop("duplicate", "exact_copy", f"same question and answer as {first}", pair=pair)
            if fingerprint(answer) == fingerprint(pair.answer):
                return Drop("duplicate", "same_question", f"same question and facts as {first}", pair=pair)
        return None

    def judged(self, pair: Pair) -> Pair | Drop:
        """A drop, or the pair: tagged when the same question was accepted with other facts, for experts to settle."""
        drop = self.check(pair)
        if drop:
            return drop
        return pair.tagged(CONTRADICTION) if self._answers.get(_prompt(pair)) else pair

    def accept(self, pair: Pair) -> None:
        """Remember an accepted pair."""
        self._answers.setdefault(_prompt(pair), []).append((pair.id, pair.answer))


def _prompt(pair: Pair) -> bytes:
    return key("\n".join(f"{m.role}: {m.content}" for m in pair.prompt))
