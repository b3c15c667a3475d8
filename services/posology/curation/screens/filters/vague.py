"""Answers that say nothing: they send the reader elsewhere, or hedge without a fact."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re

from posology.curation.domain import REFUSAL, Pair
from posology.curation.screens.filters import Context, Verdict, drop, filter, keep
from posology.curation.text.quantities import quantities

_EMPTY = re.compile(
    r"\b(?:it depends|varies from (?:person|patient) to (?:person|patient)|there is no simple answer|various factors|"
    r"(?:please )?(?:consult|ask|talk to|speak (?:to|with)|see) (?:your|a) (?:doctor|physician|pharmacist|healthcare provider)|"
    r"refer to the (?:label|package insert|prescribing information)|more research is needed|not (?:mentioned|specified|stated) in the "
    r"(?:text|label|section|excerpt|passage)|as mentioned above|see above)\b",
    re.IGNORECASE,
)


@filter("vague")
def vague(pair: Pair, context: Context) -> Verdict:
    """Drop short answers whose substance is a hedge; a hedge beside facts is fine, and so are the label's own words."""
    found = _EMPTY.search(pair.answer)
    if not found or REFUSAL in pair.tags or pair.answer in context.section_text:
        return keep
    words = len(pair.answer.split())
    says_little = words < 40 and not quantities(pair.answer) and len(found.group().split()) / max(1, words) > 0.1
    return drop(f'it says only: "{found.group()}"') if says_little else keep
