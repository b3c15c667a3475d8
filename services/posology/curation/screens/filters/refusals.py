"""Answers in which a teacher refused instead of answering."""

from posology.curation.domain import REFUSAL, Pair
from posology.curation.screens.filters import Context, Verdict, drop, filter, keep
from posology.curation.text.refusal import refuses


@filter("refusals")
def refusals(pair: Pair, context: Context) -> Verdict:
    """Drop refusals, except those tagged as wanted: chosen safety examples must stay."""
    if REFUSAL in pair.tags:
        return keep
    found = refuses(pair.answer)
    return drop(f'the answer refuses: "{found}"') if found else keep
