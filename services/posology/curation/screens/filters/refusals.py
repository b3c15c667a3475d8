"""Answers in which a teacher refused instead of answering."""

from posology.curation.domain import REFUSAL, Pair
from posology.curation.screens.filters import Context, FilterResult, drop, keep, register
from posology.curation.text.refusal import refuses


@register("refusals", when=lambda recipe: {} if recipe.drop_refusals else None, order=20)
def refusals(pair: Pair, context: Context) -> FilterResult:
    """Drop refusals, except those tagged as wanted: chosen safety examples must stay."""
    if REFUSAL in pair.tags:
        return keep
    found = refuses(pair.answer)
    return drop(f'the answer refuses: "{found}"') if found else keep
