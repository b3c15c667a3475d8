"""Pairs without anything clinical in them."""

import re

from posology.curation.domain import GENERAL, REFUSAL, Pair
from posology.curation.screens.filters import Context, Verdict, drop, filter, keep
from posology.curation.text.normal import normal
from posology.curation.text.quantities import COMMON_DRUGS, QUANTITY

_TERMS = re.compile(
    r"\b(?:dos(?:e|es|age|ing)|mg|tablets?|capsules?|inject\w*|infus\w*|oral(?:ly)?|patients?|clinical\w*|treat\w*|therap\w*|"
    r"adverse|reactions?|contraindicat\w*|indicat\w*|administ\w*|drugs?|medic\w*|symptoms?|disease|syndrome|disorder|infect\w*|"
    r"renal|hepatic|liver|kidney|cardi\w*|blood|plasma|serum|toxic\w*|pregnan\w*|pediatric|geriatric|inhibit\w*|receptor|enzyme|"
    r"metaboli\w*|half-life|pharmac\w*|allerg\w*|hypersens\w*|pain|fever|nausea|cancer|tumou?r|diabet\w*|hypert\w*|overdos\w*|"
    r"ingredient|doctor|physician|pharmacist|children|skin|eyes?|rash|store[ds]?|temperature|expos\w*|antibod\w*|cells?)\b"
    r"|\b\w{3,}(?:itis|osis|emia|uria|pathy|algia|ectomy|cillin|mycin|azole|pril|sartan|statin|olol|mab|nib|vir)\b"
)


@filter("clinical_terms")
def clinical_terms(pair: Pair, context: Context) -> Verdict:
    """Drop pairs that neither name the drug nor use a clinical word or a dose; general and refusal pairs are exempt."""
    if GENERAL in pair.tags or REFUSAL in pair.tags:
        return keep
    text = normal(pair.text)
    names_drug = bool(pair.drug) and pair.drug in text
    clinical = names_drug or _TERMS.search(text) or QUANTITY.search(pair.answer) or set(text.split()) & COMMON_DRUGS
    return keep if clinical else drop("no drug, dose or clinical term in question or answer")
