"""Answers too short to be complete, judged per kind of question."""

from posology.curation.domain import REFUSAL, Pair
from posology.curation.screens.filters import Context, FilterResult, drop, keep, register

# An 80-word minimum for all drops 29% of a good medical set: a dose is a complete answer in six words.
_EXPLAINS = frozenset({"summary", "explain", "explanation", "counsel", "compare", "given"})
_SENTENCE = 4  # words of the shortest sentence that states a fact
_SHORT = 1


@register("min_words", when=lambda recipe: {"least": recipe.min_words}, order=10)
def min_words(pair: Pair, context: Context, *, least: int = 80) -> FilterResult:
    """Drop answers with fewer words than their question type needs; `least` is for types that explain."""
    wanted = min(least, floor(pair.question_type, least))
    found = len(pair.answer.split())
    return keep if found >= wanted or REFUSAL in pair.tags else drop(f"{found} words, at least {wanted} wanted")


def floor(question_type: str, least: int) -> int:
    """Fewest words for a type: all of `least` for explanations, a sentence for facts, a word for open books."""
    if question_type in _EXPLAINS:
        return least
    return _SHORT if question_type.startswith("open-book/") else _SENTENCE
