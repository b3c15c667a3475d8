"""The data set itself: candidates through filters and screens until exactly the wanted number is accepted."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from posology.core.errors import InvalidInput
from posology.curation.dataset.candidates import candidates, tasks
from posology.curation.dataset.general import take_general
from posology.curation.dataset.split import split
from posology.curation.domain import Corpus, Drop, Pair, draw
from posology.curation.recipe import Recipe
from posology.curation.screens.filters import Context, sift, steps
from posology.curation.screens.screening import Screen, through
from posology.curation.teachers import Teacher

_BATCH = 256, 4096  # fewest and most candidates considered at once


@dataclass
class Built:
    """A data set before it is written."""

    train: list[Pair]
    validation: list[Pair]
    drops: list[Drop] = field(default_factory=list)
    considered: int = 0
    general_wanted: int = 0


Progress = Callable[[float, float, str], None]


def build(
    recipe: Recipe,
    corpus: Corpus,
    teacher: Teacher,
    screens: Sequence[Screen],
    general: Sequence[Pair],
    *,
    progress: Progress,
) -> Built:
    """Exactly `recipe.pairs` clinical pairs, split by drug, with general ones on top; InvalidInput says why fewer."""
    drops = list(corpus.drops)
    accepted, considered = _accept(recipe, corpus, teacher, screens, drops, progress)
    if len(accepted) < recipe.pairs:
        raise InvalidInput(_why_fewer(recipe, len(accepted), considered, drops))
    parts = split(accepted, validation=recipe.validation, seed=recipe.seed)
    added, wanted = take_general(recipe, general, screens, train=len(parts.train), drops=drops)
    return Built(
        train=sorted([*parts.train, *added], key=lambda pair: draw(recipe.seed, "row", pair.id)),
        validation=sorted(parts.validation, key=lambda pair: draw(recipe.seed, "row", pair.id)),
        drops=drops,
        considered=considered,
        general_wanted=wanted,
    )


def _accept(
    recipe: Recipe,
    corpus: Corpus,
    teacher: Teacher,
    screens: Sequence[Screen],
    drops: list[Drop],
    progress: Progress,
) -> tuple[list[Pair], int]:
    chosen = steps(recipe.filters)
    texts = {section.id: section.text for section in corpus.sections}
    ready_made = sorted(corpus.pairs, key=lambda pair: draw(recipe.seed, "given", pair.id))
    at_once = _share_of_each(recipe.pairs - len(ready_made), len(corpus.sections))
    stream = candidates(teacher, ready_made, tasks(corpus.sections, seed=recipe.seed), at_once=at_once, drops=drops)
    accepted: list[Pair] = []
    considered = 0
    for batch in _batches(stream, lambda: recipe.pairs - len(accepted)):
        considered += len(batch)
        sifted = [(pair, sift(pair, Context(texts.get(pair.section, "")), chosen)) for pair in batch]
        drops.extend(drop for _, drop in sifted if drop)
        within = _without_too_many_fillers([pair for pair, drop in sifted if drop is None], accepted, recipe, drops)
        screened = through(screens, within)
        drops.extend(screened.drops)
        room = recipe.pairs - len(accepted)
        accepted.extend(screened.kept[:room])
        drops.extend(
            Drop("surplus", "enough", "enough pairs were accepted before", pair=p) for p in screened.kept[room:]
        )
        progress(len(accepted), recipe.pairs, f"{len(accepted)} of {considered} pairs accepted")
        if len(accepted) == recipe.pairs:
            break
    return accepted, considered


_FILLERS = frozenset({"gap", "check"})
FILLER_SHARE = 0.1  # of all pairs: gaps to fill and statements to check teach the least


def is_filler(pair: Pair) -> bool:
    """Whether the pair fills up a set rather than asks for a fact."""
    return pair.question_type.removeprefix("open-book/") in _FILLERS


def _without_too_many_fillers(
    batch: Sequence[Pair], accepted: Sequence[Pair], recipe: Recipe, drops: list[Drop]
) -> list[Pair]:
    """At most a tenth of the set are fillers, unless nothing else was asked for."""
    if recipe.teacher.question_types and set(recipe.teacher.question_types) <= _FILLERS:
        return list(batch)
    room = int(FILLER_SHARE * recipe.pairs) - sum(is_filler(pair) for pair in accepted)
    kept: list[Pair] = []
    for pair in batch:
        room -= is_filler(pair)
        if is_filler(pair) and room < 0:
            detail = f"at most {FILLER_SHARE:.0%} of a set are gaps and statements to check"
            drops.append(Drop("surplus", "filler", detail, pair=pair))
        else:
            kept.append(pair)
    return kept


def _share_of_each(wanted: int, sections: int) -> int:
    """How many pairs of a section come in the first turn: few when there are many sections, so that all have one."""
    return max(1, min(12, -(-wanted // max(1, sections))))


def _batches(stream: Iterator[Pair], missing: Callable[[], int]) -> Iterator[list[Pair]]:
    """Batches a little larger than what is missing: no more is asked of a teacher than is likely to be used."""
    least, most = _BATCH
    while batch := list(islice(stream, max(least, min(most, missing() * 5 // 4)))):
        yield batch


def _why_fewer(recipe: Recipe, accepted: int, considered: int, drops: Sequence[Drop]) -> str:
    reasons = Counter(f"{drop.stage}/{drop.reason}" for drop in drops if drop.stage != "source")
    listed = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common(6)) or "none were dropped"
    return (
        f"the sources gave {accepted} of the {recipe.pairs} pairs that spec.curation.pairs asks for: "
        f"{considered} were considered, dropped were {listed}. Add sources, ask for fewer pairs, or loosen a filter."
    )
