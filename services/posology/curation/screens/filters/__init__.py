"""Filters decide pair by pair; one file each, registered by name. A new filter is a new file and one line below."""

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
class Verdict:
    """Keep, or drop with the detail that a person reads."""

    kept: bool
    detail: str = ""


keep = Verdict(True)


def drop(detail: str) -> Verdict:
    """Drop the pair; `detail` says what was found and what is wanted."""
    return Verdict(False, detail)


Check = Callable[..., Verdict]
FILTERS: dict[str, Check] = {}


def filter(name: str) -> Callable[[Check], Check]:
    """Register a check under the name that drops and the data card show."""

    def register(check: Check) -> Check:
        FILTERS[name] = check
        return check

    return register


@dataclass(frozen=True)
class Step:
    """A filter with its options bound."""

    name: str
    options: dict[str, Any]


def steps(recipe: FilterRecipe) -> tuple[Step, ...]:
    """The filters that a recipe asks for, cheap ones first; form and grounding are always on."""
    chosen = [Step("form", {}), Step("min_words", {"least": recipe.min_words})]
    chosen += [Step("refusals", {})] if recipe.drop_refusals else []
    chosen += [Step("vague", {})] if recipe.drop_vague else []
    chosen += [Step("clinical_terms", {})] if recipe.require_clinical_terms else []
    return (*chosen, Step("grounding", {}))


def sift(pair: Pair, context: Context, chosen: Sequence[Step]) -> Drop | None:
    """The first filter that drops the pair, or None when all keep it."""
    for step in chosen:
        verdict = FILTERS[step.name](pair, context, **step.options)
        if not verdict.kept:
            return Drop("filter", step.name, verdict.detail, pair=pair)
    return None


def names() -> Iterator[str]:
    """All registered filters."""
    return iter(FILTERS)


from posology.curation.screens.filters import clinical_terms, form, grounding, min_words, refusals, vague  # noqa: E402, F401  each registers itself
