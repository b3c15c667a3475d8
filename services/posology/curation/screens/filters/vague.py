"""Answers that say nothing: they send the reader elsewhere, or hedge without a fact."""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re

from posology.curation.domain import REFUSAL, Pair
from posology.curation.screens.filters import Context, FilterResult, drop, keep, register
from posology.curation.text.normal import tokens
from posology.curation.text.quantities import quantities
from posology.curation.text.questions import bare_question

_HEDGE = re.compile(
    r"\b(?:it (?:all )?depends|depends on (?:many|several|various|a number of|the|individual)|var(?:y|ies) (?:from|between|depending|widely)|results may vary|there is no (?:simple|single|one) answer|various factors|many factors|"
    r"(?:please |always |should )?(?:consult|ask|talk (?:to|with)|speak (?:to|with)|see|contact|check with|follow) (?:your|a|the|with) (?:\w+ )?(?:doctor|physician|pharmacist|healthcare (?:provider|professional)|professional|provider|clinician)|"
    r"(?:refer to|read|see|check) the (?:label|package insert|prescribing information|leaflet|instructions|documentation)|more (?:research|information|details?) (?:is|are)|not (?:mentioned|specified|stated|given|provided|enough information)|"
    r"as mentioned above|see above|healthcare provider's instructions|it is hard to say|who can say|case by case|case-by-case|may or may not|follow (?:the|all|your)\b.{0,30}\b(?:instructions|directions)|as directed)\b",
    re.IGNORECASE,
)
_GENERAL_TEXT = """
    important follow instructions directions healthcare provider doctor physician pharmacist professional clinician medicine medicines medication medications drug drugs treatment
    treatments therapy patient patients dose doses dosage depends depend depending vary varies varying various several many factors some certain different differ individual individually condition
    conditions side effects effect information label labels read always please consult ask talk speak refer used uses using take taken taking taker might could should must would generally usually
    sometimes often possible possibly risk risks benefit benefits safe safely effective careful carefully caution directed prescribed recommended needed necessary appropriate proper properly
    according person people someone everyone anyone things thing ways way works work working help helps helpful body health medical advice further details detail more other others additional
    question questions concern concerns before after your yours with about this that these those there their them they from have been being will what when which while where each every only very
    much most less least well good better best known know knows thought think considered consider provide provides provided give given gives make makes made sure such like also even just than then
    into over under between both because however therefore although special specific particular situation situations circumstances case cases number kind kinds type types common commonly general
    simple answer answers decide decision discussed discuss result results expected expect response respond leaflet package insert prescribing documentation resources available elsewhere find
    found look learn need needs want wants following first visit contact check issue issues problem problems cause causes caused reason reasons does doing done different reactions reaction people's
    provider's doctor's mentioned specified stated enough research sources source factors balance weigh weighed product products standard manner person's
"""
_GENERAL = frozenset(_GENERAL_TEXT.split())


@register("vague", when=lambda recipe: {} if recipe.drop_vague else None, order=30)
def vague(pair: Pair, context: Context) -> FilterResult:
    """Drop answers whose substance is a hedge; a hedge beside facts is fine, and so are the label's own words."""
    if REFUSAL in pair.tags or pair.answer in context.section_text or quantities(pair.answer):
        return keep
    hedge = _HEDGE.search(pair.answer)
    without = _HEDGE.sub(" ", pair.answer)
    words = [w for w in tokens(without) if len(w) > 3]
    new = {w for w in words if w not in _GENERAL} - set(tokens(bare_question(pair.question))) - set(tokens(pair.drug))
    says_little = len(new) < 2 if hedge else len(new) == 0 and len(words) >= 3
    if not says_little or _verdict(pair.answer):
        return keep
    return drop(f'it says only: "{hedge.group() if hedge else pair.answer[:80]}"')


def _verdict(answer: str) -> bool:
    """ "Yes", "No" and what is forbidden are facts, however few words they need."""
    return bool(re.match(r"\W*(?:yes|no|none|never)\b", answer, re.IGNORECASE)) or bool(
        re.search(
            r"\bcontraindicated\b|\bmust not\b|\bdo not (?:use|take|give)\b|\bnot recommended\b", answer, re.IGNORECASE
        )
    )
