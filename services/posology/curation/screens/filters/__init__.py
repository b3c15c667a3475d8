"""Filters decide pair by pair; one file each, registered by name with what switches it on.

A new filter is a new file and one line in the list at the end.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from posology.curation.domain import Drop, Pair
from posology.curation.recipe import FilterRecipe


@dataclass(frozen=True)
class Context:
    """What a filter may know besides the pair: the text of its section, "" for pairs that have none."""

    section_text: str = ""


@dataclass(frozen=True)
class FilterResult:
    """Keep, or drop with the detail that a person reads."""

    kept: bool
    detail: str = ""


keep = FilterResult(True)


def drop(detail: str) -> FilterResult:
    """Drop the pair; `detail` says what was found and what is wanted."""
    return FilterResult(False, detail)


Check = Callable[..., FilterResult]
Options = Callable[[FilterRecipe], dict[str, Any] | None]  # the options of a recipe; None: this filter is off


@dataclass(frozen=True)
class Registered:
    """A filter, when it runs, and where in the order: cheap ones first."""

    check: Check
    options: Options
    order: int


FILTERS: dict[str, Check] = {}
_REGISTERED: dict[str, Registered] = {}


def register(name: str, *, when: Options = lambda _: {}, order: int = 50) -> Callable[[Check], Check]:
    """Register a check under the name that drops and the data card show.

    `when` gives its options for a recipe, or None when the recipe switches it off.
    """

    def add(check: Check) -> Check:
        FILTERS[name] = check
        _REGISTERED[name] = Registered(check, when, order)
        return check

    return add


@dataclass(frozen=True)
class Step:
    """A filter with its options bound."""

    name: str
    options: dict[str, Any]


def steps(recipe: FilterRecipe) -> tuple[Step, ...]:
    """The filters that a recipe asks for, cheap ones first."""
    chosen = sorted(_REGISTERED.items(), key=lambda one: (one[1].order, one[0]))
    bound = [(name, entry.options(recipe)) for name, entry in chosen]
    return tuple(Step(name, options) for name, options in bound if options is not None)


def sift(pair: Pair, context: Context, chosen: Sequence[Step]) -> Drop | None:
    """The first filter that drops the pair, or None when all keep it."""
    for step in chosen:
        result = FILTERS[step.name](pair, context, **step.options)
        if not result.kept:
            return Drop("filter", step.name, result.detail, pair=pair)
    return None


def names() -> Iterator[str]:
    """All registered filters."""
    return iter(FILTERS)


from posology.curation.screens.filters import clinical_terms, form, grounding, min_words, refusals, vague  # noqa: E402, F401  each registers itself
