"""Keep the suites out of the training data: whole questions, shared 13-grams, and many shared 8-grams.

13-grams alone miss short questions (75% of TruthfulQA and 62% of MedMCQA have fewer than 13 words), so whole questions
are compared as well; the worker adds a comparison by embedding.
"""
# ruff: noqa: E501  (a table reads better unbroken)

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from posology.curation.domain import Drop, Pair
from posology.curation.text.normal import tokens
from posology.curation.text.quantities import fingerprint
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
    starts: dict[tuple[str, ...], list[tuple[int, tuple[str, ...]]]] = field(default_factory=dict)
    content: dict[str, list[tuple[int, frozenset[str]]]] = field(default_factory=dict)  # by each question's rarest word

    def add(self, question: str) -> None:
        """Take in one question; the excerpt of an open-book item is not part of it, because facts may be shared."""
        words = tokens(question)
        number = len(self.questions)
        self.questions.append(question)
        if len(words) >= _LEAST:
            self.whole.setdefault(" ".join(words), number)
            self.starts.setdefault(tuple(words[:_LEAST]), []).append((number, tuple(words)))
        subject = _content(question)
        if len(subject) >= _SUBJECT:
            self.content.setdefault(max(subject, key=lambda w: (len(w), w)), []).append((number, subject))
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
        grams = self._many_short_grams(words, asked, pair)
        if grams:
            return grams
        inside = self._held(asked)
        inside = self._held(tokens(pair.answer)) if inside is None else inside
        if inside is not None:
            return self._drop("whole_question", inside, pair)
        reworded = self._reworded(bare_question(pair.question))
        return None if reworded is None else self._drop("reworded", reworded, pair)

    def _held(self, words: list[str]) -> int | None:
        """The number of a suite question that stands whole among the words, whatever stands around it."""
        for at in range(len(words) - _LEAST + 1):
            for number, question in self.starts.get(tuple(words[at : at + _LEAST]), ()):
                if tuple(words[at : at + len(question)]) == question:
                    return number
        return None

    def _reworded(self, question: str) -> int | None:
        """The number of a suite question with the same subject words and the same clinical facts in another order."""
        subject = _content(question)
        for word in subject:
            for number, other in self.content.get(word, ()):
                alike = (subject <= other or other <= subject) and len(subject & other) >= _ALIKE * len(subject | other)
                if alike and fingerprint(question) == fingerprint(self.questions[number]):
                    return number
        return None

    def _many_short_grams(self, words: list[str], asked: list[str], pair: Pair) -> Drop | None:
        hits: dict[int, int] = {}
        for gram in set(_grams(words, _SHORT)):
            for number in self.short.get(gram, ()):
                hits[number] = hits.get(number, 0) + 1
        for number, count in sorted(hits.items()):
            if count / self.short_count[number] >= _SHARE and not self._of_others(number, asked, pair):
                return self._drop("8_grams", number, pair)
        return None

    def _of_others(self, number: int, asked: list[str], pair: Pair) -> bool:
        """Whether the pair asks the same of other people: "in children" where the suite says "in adults"."""
        grams = set(_grams(asked, _SHORT))
        if not any(number in self.short.get(gram, ()) for gram in grams):
            return False  # it is the answer that holds the suite's words
        own = fingerprint(bare_question(pair.question)).populations
        theirs = fingerprint(self.questions[number]).populations
        return bool(own and theirs and not own & theirs)

    def _drop(self, reason: str, number: int, pair: Pair) -> Drop:
        return Drop("contamination", reason, f'a suite asks: "{self.questions[number][:200]}"', pair=pair)


_SUBJECT, _ALIKE = 3, 0.75  # fewest subject words to compare by; share that two questions must have in common
_ASKING = frozenset(
    ["what", "which", "when", "where", "who", "whom", "whose", "how", "name", "state", "tell", "give", "list", "is", "are", "was", "were", "be", "does", "do", "did", "can", "could", "should", "would", "may", "must", "the", "a", "an", "of", "to", "in", "for", "with", "on", "at", "by", "from", "and", "or", "according", "label", "please", "me", "it", "its", "that", "this", "there", "as", "you", "your", "following", "most", "best"]
)  # fmt: skip


_ENDING = re.compile(r"(?<=\w{3})(?:ing|ed|es|s|e)$")  # "causes", "caused" and "cause" are one word here


def _content(question: str) -> frozenset[str]:
    """What a question is about: its words without those that only ask, cut to their stems."""
    return frozenset(_ENDING.sub("", word)[:7] for word in tokens(question) if word not in _ASKING)


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
