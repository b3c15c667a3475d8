"""Keep the suites out of the training data: whole questions, shared 13-grams, and many shared 8-grams.

13-grams alone miss short questions (75% of TruthfulQA and 62% of MedMCQA have fewer than 13 words), so whole questions
are compared as well; the worker adds a comparison by embedding.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from posology.curation.domain import Drop, Pair
from posology.curation.text.normal import tokens
from posology.curation.text.questions import bare_question

_LONG, _SHORT = 13, 8
_SHARE = 0.5  # of a suite question's 8-grams
_LEAST = 4  # words; a shorter question would be contained in others by chance


@dataclass
class Suites:
    """What the suites ask, ready to be compared with."""

    questions: list[str] = field(default_factory=list)
    whole: dict[str, int] = field(default_factory=dict)  # question as tokens -> its number
    long: dict[tuple[str, ...], int] = field(default_factory=dict)
    short: dict[tuple[str, ...], set[int]] = field(default_factory=dict)
    short_count: dict[int, int] = field(default_factory=dict)

    def add(self, question: str) -> None:
        """Take in one question; the excerpt of an open-book item is not part of it, because facts may be shared."""
        words = tokens(question)
        number = len(self.questions)
        self.questions.append(question)
        if len(words) >= _LEAST:
            self.whole.setdefault(" ".join(words), number)
        for gram in _grams(words, _LONG):
            self.long.setdefault(gram, number)
        grams = set(_grams(words, _SHORT))
        self.short_count[number] = len(grams)
        for gram in grams:
            self.short.setdefault(gram, set()).add(number)

    def check(self, pair: Pair) -> Drop | None:
        """A drop when the pair asks, or holds, a question of a suite."""
        asked = tokens(bare_question(pair.question))
        number = self.whole.get(" ".join(asked))
        if number is not None:
            return self._drop("whole_question", number, pair)
        words = [*asked, *tokens(pair.answer)]
        for gram in _grams(words, _LONG):
            if gram in self.long:
                return self._drop("13_gram", self.long[gram], pair)
        return self._many_short_grams(words, pair)

    def _many_short_grams(self, words: list[str], pair: Pair) -> Drop | None:
        hits: dict[int, int] = {}
        for gram in set(_grams(words, _SHORT)):
            for number in self.short.get(gram, ()):
                hits[number] = hits.get(number, 0) + 1
        for number, count in sorted(hits.items()):
            if count / self.short_count[number] >= _SHARE:
                return self._drop("8_grams", number, pair)
        return None

    def _drop(self, reason: str, number: int, pair: Pair) -> Drop:
        return Drop("contamination", reason, f'a suite asks: "{self.questions[number][:200]}"', pair=pair)


def _grams(words: list[str], size: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[i : i + size]) for i in range(len(words) - size + 1))


def questions_of(lines: Iterable[str]) -> Iterator[str]:
    """The questions of a suite file (JSON lines): `question`, `prompt` or `instruction`, whichever it has."""
    for line in lines:
        if line.strip():
            found = _question(json.loads(line))
            if found:
                yield found


def _question(item: Mapping[str, Any]) -> str:
    for name in ("question", "prompt", "instruction", "ctx", "query"):
        value = item.get(name)
        if isinstance(value, str) and value.strip():
            return value
        if isinstance(value, list) and value and isinstance(value[-1], dict):
            return str(value[-1].get("content", ""))
    return ""
