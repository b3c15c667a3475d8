"""Clinical facts inside a sentence: quantities, comparators, negations, populations, drugs.

Two sentences that differ in one of these differ in medicine, however close their embeddings are: MiniLM puts
"CrCl below 30" and "CrCl above 30" at a cosine of .999.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from posology.curation.text.normal import normal

_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
UNITS = (
    "mcg/kg/min|mcg/kg/day|mg/kg/day|mg/m2/day|mcg/kg|mg/kg|mg/m2|mcg/mL|ng/mL|mg/mL|mg/dL|mEq/L|mmol/L|mL/min|"
    "mg/day|mcg/day|units/kg|mg|mcg|micrograms?|milligrams?|grams?|kg|g|mL|milliliters?|liters?|L|IU|units?|"
    "mEq|mmHg|ms|msec|%|percent|seconds?|minutes?|hours?|days?|weeks?|months?|years?|"
    "°C|°F|times|fold|tablets?|capsules?|doses?|drops?|sprays?|puffs?"
)
QUANTITY = re.compile(
    rf"(?<![\w.^-])(?P<number>{_NUMBER})(?:\s?(?:-|–|to)\s?(?P<to>{_NUMBER}))?\s?-?(?P<unit>{UNITS})(?![A-Za-z/])"
)
BARE_NUMBER = re.compile(rf"(?<![\w.^-])(?P<number>{_NUMBER})(?![\w.]*\d|\w)")

_SAME_UNIT = {
    "percent": "%", "microgram": "mcg", "micrograms": "mcg", "milligram": "mg", "milligrams": "mg", "gram": "g",
    "grams": "g", "milliliter": "ml", "milliliters": "ml", "liter": "l", "liters": "l", "msec": "ms", "unit": "iu",
    "units": "iu",
}  # fmt: skip

_COMPARATORS = {
    "below": "<", "less than": "<", "under": "<", "lower than": "<", "<": "<", "at most": "<=", "no more than": "<=",
    "not more than": "<=", "not exceed": "<=", "maximum": "<=", "up to": "<=", "≤": "<=", "<=": "<=", "above": ">",
    "more than": ">", "greater than": ">", "over": ">", "higher than": ">", "exceeding": ">", ">": ">",
    "at least": ">=", "no less than": ">=", "not less than": ">=", "minimum": ">=", "≥": ">=", ">=": ">=",
    "before": "before", "after": "after", "increase": "up", "increases": "up", "increased": "up", "decrease": "down",
    "decreases": "down", "decreased": "down", "reduces": "down", "reduced": "down", "with food": "fed",
    "without food": "fasted", "empty stomach": "fasted",
}  # fmt: skip
_COMPARATOR = re.compile(
    "|".join(
        rf"(?<!\w){re.escape(word)}(?!\w)" if word[0].isalpha() else re.escape(word)
        for word in sorted(_COMPARATORS, key=len, reverse=True)
    )
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|without|neither|nor|cannot|avoid(?:ed)?|contraindicated|unlikely|absence|lacks?|"
    r"n't|non|except|unless|discontinue[ds]?|withhold)\b"
)
_POPULATIONS = {
    "pediatric": "child", "children": "child", "child": "child", "infants": "infant", "infant": "infant",
    "neonates": "neonate", "neonate": "neonate", "newborns": "neonate", "adolescents": "adolescent",
    "adolescent": "adolescent", "adults": "adult", "adult": "adult", "geriatric": "elderly", "elderly": "elderly",
    "older patients": "elderly", "pregnant": "pregnant", "pregnancy": "pregnant", "breastfeeding": "lactating",
    "breast-feeding": "lactating", "nursing": "lactating", "lactating": "lactating", "lactation": "lactating",
    "renal impairment": "renal", "renal failure": "renal", "renal insufficiency": "renal", "dialysis": "renal",
    "hepatic impairment": "hepatic", "hepatic failure": "hepatic", "cirrhosis": "hepatic", "male": "male",
    "males": "male", "men": "male", "female": "female", "females": "female", "women": "female",
    "immunocompromised": "immunocompromised", "diabetic": "diabetic",
}  # fmt: skip
_POPULATION = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in sorted(_POPULATIONS, key=len, reverse=True)))
_SEVERITY = re.compile(r"\b(?:mild|moderate|severe|first|second|third|type [12i]+|stage \d)\b")

COMMON_DRUGS_TEXT = """
    acetaminophen alcohol allopurinol amiodarone amlodipine amoxicillin aspirin atorvastatin azithromycin
    carbamazepine carvedilol cimetidine ciprofloxacin clarithromycin clonidine cyclosporine dexamethasone
    diazepam digoxin diltiazem erythromycin fluconazole fluoxetine furosemide gemfibrozil glyburide
    haloperidol heparin hydrochlorothiazide ibuprofen insulin itraconazole ketoconazole levothyroxine
    lisinopril lithium lorazepam losartan metformin methotrexate metoprolol metronidazole midazolam morphine
    naloxone naproxen nifedipine omeprazole ondansetron oxycodone paroxetine penicillin phenobarbital
    phenytoin prednisone probenecid propranolol quinidine rifampin ritonavir sertraline simvastatin
    spironolactone tacrolimus tetracycline theophylline tramadol valproate vancomycin verapamil voriconazole
    warfarin zidovudine
"""
COMMON_DRUGS = frozenset(COMMON_DRUGS_TEXT.split())


@dataclass(frozen=True)
class Fingerprint:
    """What must be equal before two texts may be called duplicates."""

    drugs: frozenset[str]
    quantities: frozenset[str]
    comparators: frozenset[str]
    negations: frozenset[str]
    populations: frozenset[str]

    def differences(self, other: "Fingerprint") -> tuple[str, ...]:
        """The kinds of facts in which the two differ, for the expert who has to look."""
        kinds = ("drugs", "quantities", "comparators", "negations", "populations")
        return tuple(kind for kind in kinds if getattr(self, kind) != getattr(other, kind))


def fingerprint(text: str, *, drugs: frozenset[str] = COMMON_DRUGS) -> Fingerprint:
    """The clinical facts of a text as sets; word order and wording do not matter, numbers and units do."""
    plain = normal(text)
    words = frozenset(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", plain))
    return Fingerprint(
        drugs=words & drugs,
        quantities=quantities(text),
        comparators=frozenset(_COMPARATORS[m.group()] for m in _COMPARATOR.finditer(plain)),
        negations=frozenset(m.group() for m in _NEGATION.finditer(plain)),
        populations=frozenset(_POPULATIONS[m.group()] for m in _POPULATION.finditer(plain))
        | frozenset(m.group() for m in _SEVERITY.finditer(plain)),
    )


@lru_cache(maxsize=1024)
def quantities(text: str) -> frozenset[str]:
    """Every number of the text with its unit in one spelling: "12.5 milligrams" and "12.50 mg" are both "12.5mg"."""
    return frozenset(found for _, _, found in _quantity_spans(text))


def _quantity_spans(text: str) -> list[tuple[int, int, str]]:
    spans = [
        (m.start(), m.end(), _canonical(m.group("number"), m.group("to"), m.group("unit")))
        for m in QUANTITY.finditer(text)
    ]
    taken = bytearray(len(text))
    for start, end, _ in spans:
        taken[start:end] = b"\x01" * (end - start)
    for m in BARE_NUMBER.finditer(text):
        if not taken[m.start()]:
            spans.append((m.start(), m.end(), plain_number(m.group("number"))))
    return spans


def _canonical(number: str, upper: str | None, unit: str) -> str:
    name = _SAME_UNIT.get(unit.casefold(), unit.casefold())
    singular = name[:-1] if len(name) > 3 and name.endswith("s") else name
    amount = plain_number(number) + (f"-{plain_number(upper)}" if upper else "")
    return amount + singular


def plain_number(number: str) -> str:
    """One spelling for one value: "1,000.0" and "1000" are both "1000"."""
    value = number.replace(",", "")
    return value.rstrip("0").rstrip(".") if "." in value else value
