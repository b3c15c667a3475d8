"""How labels state facts, and how people ask for them. A new question type is one more entry in PATTERNS.

`{drug}` in a question is the drug's name, `{subject}` the group `subject` of the expression.
"""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from dataclasses import dataclass

from posology.curation.text.quantities import UNITS

_N = r"\d[\d,]*(?:\.\d+)?"
_ONE = rf"{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?(?:{UNITS})(?![A-Za-z/])"
_AMOUNT = rf"{_ONE}(?: (?:to|or) {_ONE})?"
_TIMES = (
    r"(?:\s(?:once|twice|three times|four times|every \d+(?: to \d+)? hours?|every other day|per day|a day|daily|weekly|once weekly|"
    r"each (?:day|morning|evening)|at bedtime|in the (?:morning|evening)|per week|a week|per dose))*"
)
_DOSE = rf"(?P<answer>{_AMOUNT}{_TIMES})"
_ABOUT = r"(?:approximately |about |around |roughly |up to )?"
_REST = r"(?P<answer>[^.;:]{3,160}?)"


@dataclass(frozen=True)
class Pattern:
    """One question type: the expression that finds the fact, and the ways to ask for it."""

    name: str
    expression: re.Pattern[str]
    questions: tuple[str, ...]
    codes: frozenset[str] = frozenset()  # sections in which it may be asked; empty = all


def _pattern(name: str, expression: str, *questions: str, codes: str = "") -> Pattern:
    return Pattern(name, re.compile(expression), questions, frozenset(codes.split()))


PATTERNS = (
    _pattern(
        "indication",
        rf"\b(?:is|are) indicated (?:for use in |for use as |for |in |as |to )(?:the )?{_REST}(?:[.;:]|$)",
        "What is {drug} indicated for?",
        "What is {drug} used for, according to its label?",
        "Which use of {drug} has been approved?",
        codes="34067-9",
    ),
    _pattern(
        "contraindication",
        rf"\bcontraindicated (?:in|for|with|during) {_REST}(?:[.;:]|$)",
        "When is {drug} contraindicated?",
        "In whom is {drug} contraindicated?",
        "Who must not be given {drug}?",
        codes="34070-3",
    ),
    _pattern(
        "starting-dose",
        rf"\b(?:[Ss]tarting|[Ii]nitial) (?:oral |daily |adult |pediatric )?(?:dose|dosage)\b[^.;]{{0,80}}?\b(?:is|of)\s{_ABOUT}{_DOSE}",
        "What is the starting dose of {drug}?",
        "At which dose is {drug} started?",
        "With how much {drug} does treatment begin?",
        codes="34068-7",
    ),
    _pattern(
        "recommended-dose",
        rf"\b(?:[Rr]ecommended|[Uu]sual) (?:adult |oral |daily |intravenous |maintenance ){{0,3}}(?:dose|dosage)\b[^.;]{{0,80}}?\bis\s{_ABOUT}{_DOSE}",
        "What is the recommended dose of {drug}?",
        "How much {drug} is recommended?",
        "Which dose of {drug} does the label recommend?",
        codes="34068-7",
    ),
    _pattern(
        "maximum-dose",
        rf"(?:\b[Mm]aximum (?:recommended |total |daily |single |adult ){{0,3}}(?:dose|dosage)\b[^.;]{{0,80}}?\b(?:is|of)|"
        rf"\b(?:should not|must not|[Dd]o not|not to) exceed)\s{_ABOUT}{_DOSE}",
        "What is the maximum dose of {drug}?",
        "Which dose of {drug} must not be exceeded?",
        "How much {drug} may be taken at most?",
        codes="34068-7 34088-5",
    ),
    _pattern(
        "half-life",
        rf"\bhalf-life\b[^.;]{{0,90}}?\b(?:is|was|of|averages|ranges from)\s{_ABOUT}(?P<answer>{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?(?:hours?|days?|minutes?|weeks?))",
        "What is the half-life of {drug}?",
        "How long is the elimination half-life of {drug}?",
        "After what time has half of {drug} left the body?",
    ),
    _pattern(
        "bioavailability",
        rf"\bbioavailability\b[^.;]{{0,80}}?\b(?:is|was|of)\s{_ABOUT}(?P<answer>{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?(?:%|percent))",
        "What is the bioavailability of {drug}?",
        "Which share of {drug} becomes available to the body?",
        "How much of an oral dose of {drug} reaches the blood?",
    ),
    _pattern(
        "protein-binding",
        rf"(?P<answer>{_N}\s?%) (?:is |are )?bound to (?:human )?(?:plasma|serum) (?:proteins?|albumin)"
        r"|\b[Pp]rotein binding\b[^.;]{0,60}?\b(?:is|was|of)\s(?:approximately |about )?(?P<second>\d[\d.]*\s?%)",
        "How strongly is {drug} bound to plasma proteins?",
        "Which share of {drug} is bound to plasma proteins?",
        "How much of {drug} in the blood is bound to proteins?",
    ),
    _pattern(
        "peak-time",
        rf"\b[Pp]eak (?:plasma |serum |blood )?(?:concentrations?|levels?)\b[^.;]{{0,90}}?\b(?:within|in|at|after|by|between)\s{_ABOUT}"
        rf"(?P<answer>{_N}(?:\s?(?:-|–|to|and)\s?{_N})?\s?(?:hours?|minutes?|days?))",
        "When does {drug} reach its peak concentration?",
        "How long after a dose is the concentration of {drug} highest?",
        "At what time does the level of {drug} peak?",
    ),
    _pattern(
        "metabolism",
        r"(?<![Dd]rugs )(?<![Ss]ubstrates )\bmetabolized (?:primarily |mainly |extensively |predominantly |partly )?(?:by|via|through)(?: the)? (?P<answer>[^.,;:()]{3,80})",
        "How is {drug} metabolized?",
        "By what is {drug} broken down?",
        "What breaks {drug} down?",
        codes="43682-4 34090-1 34073-7",
    ),
    _pattern(
        "urinary-excretion",
        rf"(?P<answer>{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?%) of (?:the |an |a )?[^.;]{{0,50}}?dose[^.;]{{0,60}}?(?:excreted|recovered|eliminated)[^.;]{{0,40}}? urine",
        "How much of a dose of {drug} leaves the body in urine?",
        "Which share of a {drug} dose is excreted in the urine?",
        "What part of a {drug} dose do the kidneys excrete?",
    ),
    _pattern(
        "drug-class",
        r"^[A-Z][^.,;]{2,60}? (?:is|acts as|belongs to) (?P<answer>an? [^.,;]{3,90}?(?:inhibitor|agonist|antagonist|blocker|modulator|activator|"
        r"antibiotic|antibody|agent|diuretic|steroid|hormone|vaccine|analgesic|antidepressant|anticoagulant|enzyme|class)\b)",
        "What kind of drug is {drug}?",
        "To which class of drugs does {drug} belong?",
        "What sort of medicine is {drug}?",
        codes="34089-3 43679-0 34090-1 34067-9",
    ),
    _pattern(
        "target",
        r"\b(?:inhibitor|blocker|antagonist|agonist|activator|modulator) of (?:the )?(?P<answer>[^.,;()]{3,60}?)(?:[.,;(]|$| and | that | which )",
        "What does {drug} act on?",
        "Which target does {drug} have?",
        "At which target in the body does {drug} work?",
        codes="43679-0 34090-1 34089-3",
    ),
    _pattern(
        "strength",
        rf"^(?:Each|One) [^.;]{{3,60}}? contains (?P<answer>{_ONE})",
        "How much {drug} does one unit contain?",
        "How strong is {drug}?",
        "What is the strength of {drug}?",
        codes="43678-2 34089-3 34069-5",
    ),
    _pattern(
        "harm",
        r"\b(?:can|may) cause (?P<answer>[^.;:()]{3,80}?)(?:[.;(]|$)",
        "What can {drug} cause?",
        "Which harm does the label of {drug} warn of?",
        "What should patients on {drug} be warned about?",
        codes="43685-7 34071-1 34066-1",
    ),
    _pattern(
        "common-reactions",
        rf"\b[Mm]ost (?:common|frequent)(?:ly)?[^.;:]{{0,120}}?(?:adverse|side) (?:drug )?(?:reactions|events|effects)[^.;:]{{0,120}}?\b(?:are|were|include[sd]?|is|was):? {_REST}(?:[.;]|$)",
        "What are the most common adverse reactions to {drug}?",
        "Which side effects of {drug} are seen most often?",
        "What do patients on {drug} complain of most often?",
    ),
    _pattern(
        "storage",
        r"(?:^|[a-z,] )(?:[Ss]tore|should be stored|must be stored) (?:[A-Za-z]{1,24} ){0,4}?(?P<answer>(?:at|between|below|under|in|refrigerated|upright|above|out of) [^.;()]{3,90}?)(?:[.;(]|$)",
        "How should {drug} be stored?",
        "Under which conditions is {drug} kept?",
        "Where and how is {drug} kept?",
        codes="44425-7 34069-5 43678-2 53413-1 34068-7 42231-1",
    ),
    _pattern(
        "schedule",
        r"\bSchedule (?P<answer>I{1,3}|IV|V)\b",
        "In which schedule of controlled substances is {drug}?",
        "Under which schedule is {drug} controlled?",
        "Which controlled-substance schedule applies to {drug}?",
    ),
    _pattern(
        "overdose-signs",
        rf"\b(?:[Oo]verdos(?:e|age))\b[^.;:]{{0,120}}?\b(?:include[sd]?|consists? of):? {_REST}(?:[.;]|$)",
        "What are the signs of an overdose of {drug}?",
        "What happens after an overdose of {drug}?",
        "How does an overdose of {drug} show?",
        codes="34088-5",
    ),
    _pattern(
        "monitoring",
        rf"^Monitor (?:for )?{_REST}(?:[.;]|$)",
        "What should be monitored in patients who take {drug}?",
        "What has to be watched during treatment with {drug}?",
        "What needs monitoring under {drug}?",
    ),
    _pattern(
        "avoid-with",
        rf"\b[Aa]void (?:the )?(?:concomitant |concurrent |simultaneous )?(?:use|coadministration|administration|intake)?[^.;]{{0,60}}?(?<!patients )\bwith {_REST}(?:[.;,]|$)",
        "With what should {drug} not be combined?",
        "What must be avoided together with {drug}?",
        "What should a patient on {drug} stay away from?",
        codes="34073-7 43685-7",
    ),
    _pattern(
        "food",
        r"\b(?:taken|administered|given|[Tt]ake|[Aa]dminister)\b[^.;]{0,60}?\b(?P<answer>with or without (?:food|meals)|without regard to (?:food|meals)|"
        r"with (?:food|meals|a meal|milk|water)|without food|on an empty stomach|(?:before|after) (?:meals|breakfast|a meal))",
        "Should {drug} be taken with food?",
        "How is {drug} taken with respect to meals?",
        "How does {drug} go with meals?",
        codes="34068-7 34076-0",
    ),
    _pattern(
        "not-established",
        r"\bnot been established in (?P<answer>[^.;:]{3,90}?)(?:[.;:]|$)",
        "In whom have safety and effectiveness of {drug} not been established?",
        "For which patients is {drug} not established as safe and effective?",
        "Who has not been shown to be safe on {drug}?",
        codes="34081-0 34068-7 34067-9 34082-8",
    ),
    _pattern(
        "incidence",
        rf"^(?P<subject>[A-Z][a-z]+(?: [a-z]+){{0,3}}) (?:occurred|was reported|were reported|was observed|were observed) in (?P<answer>{_ABOUT}{_N}\s?%) of (?:the )?(?:patients|subjects)",
        "What share of patients on {drug} had {subject}?",
        "How frequent is {subject} with {drug}?",
        "How many patients on {drug} experienced {subject}?",
    ),
    _pattern(
        "duration",
        rf"\b(?:[Dd]uration of (?:treatment|therapy))\b[^.;]{{0,40}}?(?:is |of |for )?{_ABOUT}(?P<answer>{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?(?:days?|weeks?|months?))",
        "How long is treatment with {drug}?",
        "For how long is {drug} given?",
        "How many days or weeks does treatment with {drug} take?",
        codes="34068-7",
    ),
)

NAMES = tuple(pattern.name for pattern in PATTERNS)
