"""Screens look at a batch of pairs in the light of everything accepted before: duplicates and contamination."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from posology.curation.domain import Drop, Pair
from posology.curation.screens.decontaminate import Suites
from posology.curation.screens.exact import Exact
from posology.curation.text.quantities import quantities
from posology.curation.text.questions import bare_question


@dataclass(frozen=True)
class Screened:
    """What a screen lets through, in the order given, and what it drops."""

    kept: tuple[Pair, ...]
    drops: tuple[Drop, ...]


class Screen(Protocol):
    """Sees batches in order and remembers what it kept; the same batches give the same decisions."""

    def screen(self, batch: Sequence[Pair]) -> Screened:
        """Keep or drop each pair of the batch."""
        ...


class ExactScreen:
    """Same prompt, white space and case aside."""

    def __init__(self) -> None:
        self._exact = Exact()

    def screen(self, batch: Sequence[Pair]) -> Screened:
        kept: list[Pair] = []
        drops: list[Drop] = []
        for pair in batch:
            judged = self._exact.judged(pair)
            if isinstance(judged, Drop):
                drops.append(judged)
            else:
                self._exact.accept(judged)
                kept.append(judged)
        return Screened(tuple(kept), tuple(drops))


class SuiteScreen:
    """Questions of the run's suites."""

    def __init__(self, suites: Suites) -> None:
        self._suites = suites

    def screen(self, batch: Sequence[Pair]) -> Screened:
        checked = [(pair, self._suites.check(pair)) for pair in batch]
        return Screened(
            tuple(pair for pair, drop in checked if drop is None),
            tuple(drop for _, drop in checked if drop is not None),
        )


def through(screens: Sequence[Screen], batch: Sequence[Pair]) -> Screened:
    """The batch through all screens, cheap ones first. Of copies within it the best is kept, whichever came first."""
    kept = tuple(sorted(batch, key=quality, reverse=True))
    drops: list[Drop] = []
    for screen in screens:
        checked = screen.screen(kept)
        kept = checked.kept
        drops.extend(checked.drops)
    place = {pair.id: number for number, pair in enumerate(batch)}
    return Screened(tuple(sorted(kept, key=lambda pair: place[pair.id])), tuple(drops))


def quality(pair: Pair) -> tuple[bool, int, int]:
    """What makes one of two copies the better one: it can be traced, it states more facts, it says more."""
    return bool(pair.evidence), len(quantities(pair.answer)), min(len(pair.answer.split()), 160)


def compared(pair: Pair) -> str:
    """What two pairs are compared by: the question without its excerpt, and the answer."""
    return f"{bare_question(pair.question)} {pair.answer}"
