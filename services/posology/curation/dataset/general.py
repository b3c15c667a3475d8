"""General instructions, so that the model does not forget what it could do before.

A run makes a general set of all that are usable, of which training takes a share. `take_general` is for data sets that
are asked for with general rows among their own.
"""

from collections.abc import Iterable, Sequence

from posology.curation.domain import GENERAL, REFUSAL, Drop, Pair, draw
from posology.curation.recipe import Recipe
from posology.curation.screens.filters import Context, Step, sift
from posology.curation.screens.screening import Screen, through
from posology.curation.sources import Document
from posology.curation.sources.jsonl import read_jsonl

_CHECKS = (Step("form", {}), Step("refusals", {}))


def read_general(lines: Iterable[str], *, name: str) -> list[Pair]:
    """The pairs of a file of general instructions, tagged as such; a `refusal` tag in the file stays."""
    document = Document(name, "\n".join(lines).encode())
    return [pair.tagged(GENERAL) for parsed in read_jsonl(document) for pair in parsed.pairs]


def take_general(
    recipe: Recipe, general: Sequence[Pair], screens: Sequence[Screen], *, train: int, drops: list[Drop]
) -> tuple[list[Pair], int]:
    """General pairs for a training set of `train` clinical ones, and how many were wanted.

    Refusals keep the share that they have in the file. A file with too few gives all it has; the card says so.
    """
    if recipe.general is None or recipe.general.share == 0:
        return [], 0
    share = recipe.general.share
    wanted = max(1, round(train * share / (1 - share)))
    usable = usable_general(general, screens, drops)
    refusals = [pair for pair in usable if REFUSAL in pair.tags]
    others = [pair for pair in usable if REFUSAL not in pair.tags]
    from_refusals = min(len(refusals), round(wanted * len(refusals) / max(1, len(usable))))
    taken = _first(refusals, from_refusals, recipe.seed) + _first(others, wanted - from_refusals, recipe.seed)
    return taken, wanted


def usable_general(general: Sequence[Pair], screens: Sequence[Screen], drops: list[Drop]) -> list[Pair]:
    """Those that pass the checks of form and the screens; the others go to `drops`."""
    checked = [(pair, sift(pair, Context(), _CHECKS)) for pair in general]
    drops.extend(drop for _, drop in checked if drop)
    screened = through(screens, [pair for pair, drop in checked if drop is None])
    drops.extend(screened.drops)
    return list(screened.kept)


def _first(pairs: Sequence[Pair], count: int, seed: int) -> list[Pair]:
    return sorted(pairs, key=lambda pair: draw(seed, "general", pair.id))[:count]
