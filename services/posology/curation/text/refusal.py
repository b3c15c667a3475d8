"""The words with which an answer refuses; for the filter, and for a teacher that refused its task."""
# ruff: noqa: E501  (the expressions read better unbroken)

import re

from posology.curation.text.quantities import QUANTITY

_UNABLE = (
    r"(?:can't|cannot|can not|won't|will not|would not|wouldn't|could not|couldn't|(?:am|are|'m|'re) (?:unable|not able|not allowed|not permitted|not authorized|not qualified|not in a position|not comfortable)(?: to)?|"
    r"(?:do not|don't) feel comfortable|(?:do not|don't) have the ability to|must(?: respectfully)? decline(?: to)?|have to decline(?: to)?|must refuse(?: to)?|decline to|refuse to|prefer not to|(?:would|'d) rather not|should not|shouldn't|do not|don't)"
)
_TASK = r"(?:help|assist|provid\w*|giv\w*|answer\w*|comply|fulfil\w*|support|discuss\w*|shar\w*|offer\w*|engag\w*|generat\w*|creat\w*|writ\w*|respond|say|advise|do (?:that|this|so)|make|tell|continue|participate|process|complete|go (?:there|into))"
# At the start of a sentence: "patients who cannot take aspirin" is a clinical answer, "I cannot help" is not.
_REFUSALS = tuple(
    re.compile(expression)
    for expression in (
        rf"(?:^|[.,;!:] |\bbut |\band |\bmodel |\bso )(?:i|we)(?: (?:really|simply|just|also|therefore|unfortunately))? ?{_UNABLE} (?:be able to |possibly |in good conscience |\w+ly |be )?{_TASK}\b",
        rf"^(?:i|we) ?{_UNABLE}\.?$",
        r"^(?:(?:i'm )?sorry[,.:]? (?:but )?|unfortunately,? )?(?:i|we) (?:do not|don't) have (?:enough|sufficient) (?:information|context|data)\b",
        r"^\W*(?:as|being|i'm|i am)(?: (?:just|only))? an? (?:ai\b|artificial|language model|large language)",
        r"not something (?:that )?(?:i|we)(?:'m| am| are)? (?:can|able|comfortable|willing)",
        rf"^(?:sorry[,.:]? |unfortunately,? )?(?:unable|not able) to {_TASK}",
        r"(?:my|our) (?:guidelines|polic(?:y|ies)|programming|training|rules|instructions) (?:prevents?|do(?:es)? not allow|don't allow|prohibits?|forbids?)",
        r"(?:against|violates?) my (?:guidelines|polic(?:y|ies)|programming)",
        r"(?:not (?:be )?appropriate|inappropriate|not be right|wouldn't be right|not ethical|unethical|irresponsible|not be responsible|not be safe) for me\b",
        r"^(?:no, )?i (?:must |have to )?(?:respectfully )?(?:decline|refuse)\b",
        r"(?:request|question)s? (?:cannot|can't|can not) be (?:answered|fulfilled|completed|processed)",
        r"^(?:i'm |i am )?(?:really |very |so )?sorry[,.!]? ?(?:but )?(?:i|this|that|no)\b[^.]{0,80}\b(?:can't|cannot|unable|not able|won't|not possible|beyond)\b",
        r"^(?:my apologies|i apologi[sz]e|apologies|i regret)\b[^.]{0,80}\b(?:can't|cannot|unable|not able|won't|but|decline)\b",
        r"^(?:no comment|request denied|declined)\b",
        r"^unfortunately,? (?:i|this)\b[^.]{0,60}\b(?:can't|cannot|unable|not able)\b",
    )
)  # fmt: skip


def refuses(answer: str) -> str:
    """The words with which an answer refuses, or "".

    Only its first words are looked at; an answer that gives an amount in the same breath, or goes on with one, answers.
    """
    plain = " ".join(answer.replace("’", "'").split()).casefold()
    start = plain[:220]
    for expression in _REFUSALS:
        match = expression.search(start)
        if match:
            return "" if _answers(plain, match) else match.group().strip(" .,;:!")
    return ""


def _answers(plain: str, match: re.Match[str]) -> bool:
    rest = plain[match.end() :]
    return bool(QUANTITY.search(rest)) and len(rest.split()) >= 4
