"""What a reviewer's eye should fall on: the supporting sentence, and facts of an answer that its section lacks."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from posology.core.visible import visible

_FACT = re.compile(
    r"\d+(?:[.,]\d+)*(?:\s?(?:%|mg|mcg|µg|g|kg|mL|L|mEq|units?|IU|hours?|days?|weeks?|months?|years?|°\s?[CF]))?|"
    r"\b(?:not|no|never|without|avoid|contraindicated|except|unless|only|increase[sd]?|decrease[sd]?|above|below|"
    r"once|twice|daily|weekly|orally|intravenous(?:ly)?)\b",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"\[[^\[\]]{0,200}\]|(\w+|[^\w\s])")


@dataclass(frozen=True)
class Segment:
    """A piece of text and how it is shown: "", `evidence` or `differs`."""

    text: str
    mark: str = ""

    def as_json(self) -> list[str]:
        """What the page's script takes."""
        return [self.text, self.mark]


def section(text: str, evidence: str) -> list[Segment]:
    """The section with its support marked, whatever white space and references (`[see Dosage (2.1)]`) stand in it.

    Where the support is not one passage of the text, each of its sentences that is there is marked.
    """
    words = list(_words(text))
    places = list(_places(words, [evidence])) or sorted(_places(words, _SENTENCE.split(evidence)[:200]))
    marked, end = [], 0
    for start, stop in places:
        if start >= end:
            marked += [Segment(visible(text[end:start])), Segment(visible(text[start:stop]), "evidence")]
            end = stop
    return [segment for segment in (*marked, Segment(visible(text[end:]))) if segment.text]


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    """Words and signs with where they stand, without references in brackets."""
    for match in _WORD.finditer(text):
        if match[1]:
            yield match[1], match.start(), match.end()


def _places(words: list[tuple[str, int, int]], passages: list[str]) -> Iterator[tuple[int, int]]:
    """Where each passage stands among the words, if it does. Linear: hostile labels are long."""
    joined = "\0" + "\0".join(word for word, _, _ in words) + "\0"
    for passage in passages:
        wanted = [word for word, _, _ in _words(passage)]
        if not any(word[0].isalnum() for word in wanted):
            continue
        at = joined.find("\0" + "\0".join(wanted) + "\0")
        if at >= 0:
            first = joined.count("\0", 0, at)
            yield words[first][1], words[first + len(wanted) - 1][2]


def answer(text: str, support: str) -> list[Segment]:
    """The answer with every number, unit, negation and direction marked that its support does not state."""
    if not support.strip():
        return [Segment(visible(text))]  # an answer of a model: there is no section to hold it against
    stated = {_normal(match.group()) for match in _FACT.finditer(support)}
    return list(_pieces(text, stated))


def _pieces(text: str, stated: set[str]) -> Iterator[Segment]:
    end = 0
    for match in _FACT.finditer(text):
        if _normal(match.group()) in stated:
            continue
        if match.start() > end:
            yield Segment(visible(text[end : match.start()]))
        yield Segment(visible(match.group()), "differs")
        end = match.end()
    if end < len(text):
        yield Segment(visible(text[end:]))


def _normal(fact: str) -> str:
    return re.sub(r"\s+", "", fact).lower()
