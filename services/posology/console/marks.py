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


@dataclass(frozen=True)
class Segment:
    """A piece of text and how it is shown: "", `evidence` or `differs`."""

    text: str
    mark: str = ""

    def as_json(self) -> list[str]:
        """What the page's script takes."""
        return [self.text, self.mark]


def section(text: str, evidence: str) -> list[Segment]:
    """The section with its supporting sentence marked, wherever white space stands in it."""
    pattern = r"\s+".join(map(re.escape, evidence.split()))
    place = re.search(pattern, text) if pattern else None
    if place is None:
        return [Segment(visible(text))]
    before, between, after = text[: place.start()], text[place.start() : place.end()], text[place.end() :]
    marked = [Segment(visible(before)), Segment(visible(between), "evidence"), Segment(visible(after))]
    return [segment for segment in marked if segment.text]


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
