"""Which of many texts are nearest in wording to one: rare words weigh more, order does not count.

Nearness in wording says nothing about why a model answered as it did.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W_]+(?:[.\-'][^\W_]+)*")
_COMMON = frozenset((
    "a", "an", "and", "any", "are", "as", "at", "be", "been", "by", "can", "do", "does", "for", "from", "has", "have",
    "how", "i", "if", "in", "is", "it", "its", "me", "my", "no", "not", "of", "on", "or", "should", "so", "such",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "to", "was", "were", "what",
    "when", "where", "which", "who", "why", "will", "with", "would", "you", "your",
))  # fmt: skip


@dataclass(frozen=True)
class Near:
    """One of the texts: its place in the list, its cosine (0 to 1), and the words in common, rarest first."""

    index: int
    score: float
    shared: tuple[str, ...]


def words(text: str) -> list[str]:
    """Words and numbers in lower case, without those that every text has."""
    return [word for word in _WORD.findall(text.casefold()) if word not in _COMMON]


class Corpus:
    """Texts to compare with, weighed once (tf-idf)."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._counts = [Counter(words(text)) for text in texts]
        self._in = Counter(word for counts in self._counts for word in counts)
        self._lengths = [self._length(counts) for counts in self._counts]

    def nearest(self, text: str, *, count: int) -> list[Near]:
        """The `count` nearest that share a word with `text`, nearest first; equally near ones in their order."""
        counts = Counter(words(text))
        length = self._length(counts)
        near_ones = [near for near in self._all(counts, length) if near.score > 0]
        return sorted(near_ones, key=lambda near: (-round(near.score, 9), near.index))[:count]

    def unseen(self, text: str) -> list[str]:
        """Words of `text` that stand in none of the texts."""
        return [word for word in dict.fromkeys(words(text)) if word not in self._in]

    def _all(self, question: Counter[str], length: float) -> Iterator[Near]:
        for index, counts in enumerate(self._counts):
            shared = question.keys() & counts.keys()
            if shared:
                dot = sum(self._weight(word, question[word]) * self._weight(word, counts[word]) for word in shared)
                yield Near(index, dot / (length * self._lengths[index]), tuple(self._rarest(shared)))

    def _rarest(self, shared: Iterable[str]) -> Sequence[str]:
        return sorted(shared, key=lambda word: (self._in[word], word))

    def _length(self, counts: Counter[str]) -> float:
        return math.sqrt(sum(self._weight(word, n) ** 2 for word, n in counts.items())) or 1.0

    def _weight(self, word: str, n: int) -> float:
        return (1 + math.log(n)) * (1 + math.log((1 + len(self._counts)) / (1 + self._in[word])))
