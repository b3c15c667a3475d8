"""Exact duplicates: the same question in the same normal form."""

from collections.abc import Iterable

import xxhash

from posology.curation.domain import Drop, Pair
from posology.curation.text.normal import normal


def key(text: str) -> bytes:
    """128 bits that are equal when two texts differ only in Unicode form, white space and case."""
    return xxhash.xxh3_128_digest(normal(text).encode())


class Exact:
    """Remembers the prompts and answers that were accepted; lives as long as one data set is made."""

    def __init__(self) -> None:
        self._answers: dict[bytes, tuple[str, bytes]] = {}

    def check(self, pair: Pair) -> Drop | None:
        """A drop when the prompt was accepted before: as a copy, or as a second answer to the same question."""
        found = self._answers.get(_prompt(pair))
        if found is None:
            return None
        first, answer = found
        if answer == key(pair.answer):
            return Drop("duplicate", "exact_copy", f"same question and answer as {first}", pair=pair)
        return Drop("duplicate", "same_question", f"same question as {first}, another answer", pair=pair)

    def accept(self, pair: Pair) -> None:
        """Remember an accepted pair."""
        self._answers.setdefault(_prompt(pair), (pair.id, key(pair.answer)))

    def accept_all(self, pairs: Iterable[Pair]) -> None:
        """Remember several."""
        for pair in pairs:
            self.accept(pair)


def _prompt(pair: Pair) -> bytes:
    return key("\n".join(f"{m.role}: {m.content}" for m in pair.prompt))
