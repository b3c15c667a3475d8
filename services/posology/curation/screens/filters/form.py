"""Pairs that are no proper question and answer."""

from posology.curation.domain import Pair
from posology.curation.screens.filters import Context, FilterResult, drop, keep, register

_LONGEST = 32_000  # characters; beyond it no sequence length of ours could hold the pair
_PLACEHOLDERS = ("{drug}", "<drug>", "[insert", "lorem ipsum", "TODO")


@register("form", order=0)
def form(pair: Pair, context: Context) -> FilterResult:
    """Drop pairs with an empty side, an answer that is its question, leftovers of templates, or lost characters."""
    question, answer = pair.question.strip(), pair.answer.strip()
    if not question or not answer:
        return drop("question or answer is empty")
    if question == answer:
        return drop("the answer repeats the question")
    if "\ufffd" in question or "\ufffd" in answer:
        return drop("holds U+FFFD: characters were lost when the text was decoded")
    leftover = next((p for p in _PLACEHOLDERS if p in question or p in answer), "")
    if leftover:
        return drop(f"holds the placeholder {leftover}")
    return keep if len(pair.text) <= _LONGEST else drop(f"{len(pair.text)} characters, at most {_LONGEST} allowed")
