"""Answers in which a teacher refused instead of answering."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re

from posology.curation.domain import REFUSAL, Pair
from posology.curation.filters import Context, Verdict, drop, filter, keep

# Anchored at the start: "patients who cannot take aspirin" is a clinical answer, "I cannot help" is not.
_REFUSES = re.compile(
    r"^\W*(?:i(?:'|’)?m (?:really |very |so )?sorry|sorry,|i (?:can(?:'|’)?t|cannot|can not|won(?:'|’)?t|am unable to|am not able to)|"
    r"as an ai|i(?:'|’)?m (?:not able|unable)|unfortunately,? i|i must decline|i don(?:'|’)?t feel comfortable|my apologies|"
    r"i apologize|it (?:is|would be) (?:not appropriate|inappropriate) for me)\b",
    re.IGNORECASE,
)


@filter("refusals")
def refusals(pair: Pair, context: Context) -> Verdict:
    """Drop refusals, except those tagged as wanted: chosen safety examples must stay."""
    if REFUSAL in pair.tags:
        return keep
    found = refuses(pair.answer)
    return drop(f'the answer refuses: "{found}"') if found else keep


def refuses(answer: str) -> str:
    """The words with which an answer refuses, or "". Only its first words are looked at."""
    match = _REFUSES.match(answer[:200])
    return match.group().strip() if match else ""
