"""One clinical fact of a statement changed: the plainest wrong answer there is, equal in length and style.

Only the slot that was asked for is edited, by kind of question; what the label states anywhere is no wrong answer;
amounts that a bracket repeats, and temperatures in two scales, change together or not at all.
"""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from posology.curation.text.normal import split_sentences
from posology.curation.text.quantities import QUANTITY, plain_number, quantities

KINDS = ("number", "temperature", "frequency", "food", "negation", "direction", "enzyme")


@dataclass(frozen=True)
class Edit:
    """A sentence with one fact changed: what stood there, what stands there now."""

    kind: str
    before: str
    after: str
    text: str


_NUMBERED = frozenset(
    {"recommended-dose", "starting-dose", "maximum-dose", "strength", "half-life", "bioavailability", "protein-binding", "peak-time", "urinary-excretion", "dosage-forms"}
)  # fmt: skip
# Which slots an answer of a kind may be wrong in; what is not named here may not be edited.
_SLOTS: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_NUMBERED - {"dosage-forms"}, frozenset({"number", "frequency"})),
    "storage": frozenset({"temperature"}),
    "food": frozenset({"food"}),
    "dosing": frozenset({"number", "frequency"}),
    "contraindication": frozenset({"negation"}),
    "pregnancy": frozenset({"negation"}),
    "lactation": frozenset({"negation"}),
    "pediatric": frozenset({"negation"}),
    "geriatric": frozenset({"negation"}),
    "renal": frozenset({"negation"}),
    "hepatic": frozenset({"negation"}),
    "overdose-management": frozenset({"negation"}),
    "interaction": frozenset({"direction", "negation"}),
    "avoid-with": frozenset({"negation"}),
    "warning": frozenset({"direction", "negation"}),
    "boxed-warning": frozenset({"direction", "negation"}),
    "mechanism": frozenset({"direction"}),
    "drug-class": frozenset({"direction"}),
    "metabolism": frozenset({"enzyme"}),
    "": frozenset(KINDS),  # a statement to check: any slot
}

# (what stands there, what is put there): each reads well where the first one stood, and says the opposite.
_NEGATIONS = (
    (r"\b(have|has) not been (established|evaluated|studied)\b", r"\1 been \2"),
    (r"\b(is|are) contraindicated\b", r"\1 not contraindicated"),
    (r"\b(can|may|could) cause\b", "will not cause"),
    (r"\bNo (dosage|dose) (adjustment|modification)s? (is|are) (required|recommended|necessary|needed|warranted)\b", r"A \1 \2 is \4"),
    (r"\bno (dosage|dose) (adjustment|modification)s? (is|are) (required|recommended|necessary|needed|warranted)\b", r"a \1 \2 is \4"),
    (r"\bThere are no (available|adequate) (human )?data\b", r"There are \1 \2data"),
    (r"\b(is|are) (known to be )?(present|excreted|detected) in human milk\b", r"\1 not \2\3 in human milk"),
    (r"\b(women|females|patients|mothers) not to breastfeed\b", r"\1 that they may breastfeed"),
    (r"\bbreastfeeding is not recommended\b", "breastfeeding is recommended"),
    (r"\bNo overall differences\b", "Overall differences"),
    (r"\b(is|are) not expected to\b", r"\1 expected to"),
    (r"\b(is|are) not (dialyzable|removed by (?:hemo)?dialysis|recommended|approved)\b", r"\1 \2"),
    (r"\bThere is no (specific |known )?antidote\b", r"There is a \1antidote"),
    (r"\bthere is no (specific |known )?antidote\b", r"there is a \1antidote"),
    (r"\bAvoid (concomitant use|coadministration|concurrent use|use)\b", r"There is no need to avoid \1"),
    (r"\bshould be avoided\b", "need not be avoided"),
    (r"\bshould not be\b", "may be"),
    (r"\bmust not be\b", "may be"),
)  # fmt: skip
_DIRECTIONS = (
    (r"\bincrease(s?) the (risk|incidence|exposure)\b", r"decrease\1 the \2"),
    (r"\bincreased risk\b", "decreased risk"),
    (r"\b(an) increased risk\b", "a decreased risk"),
    (r"\bmay increase\b", "may decrease"),
    (r"\bmay decrease\b", "may increase"),
    (r"\bcan increase\b", "can decrease"),
    (r"\bincreases\b(?= [a-z]+ (?:plasma |serum )?(?:concentrations?|levels?|exposure))", "decreases"),
    (r"\bdecreases\b(?= [a-z]+ (?:plasma |serum )?(?:concentrations?|levels?|exposure))", "increases"),
    (r"\bincreased\b(?= (?:the )?[a-z]+ (?:plasma |serum )?(?:concentrations?|levels?|exposure|AUC))", "decreased"),
    (r"\b(an) agonist\b(?!/)", "an antagonist"),
    (r"\bagonist\b(?!/)", "antagonist"),
    (r"(?<!/)\bantagonist\b", "agonist"),
    (r"\ban? inhibitor of\b", "an activator of"),
    (r"\b(kinase|reductase|protease|polymerase|enzyme|receptor) inhibitor\b", r"\1 activator"),
    (r"\binhibits\b", "activates"),
    (r"\bblocker of\b", "activator of"),
)
_FREQUENCIES = (
    (r"\bonce daily\b", "twice daily"),
    (r"\btwice daily\b", "four times daily"),
    (r"\bthree times daily\b", "once daily"),
    (r"\bonce weekly\b", "once daily"),
    (r"\bonce a day\b", "twice a day"),
    (r"\btwice a day\b", "four times a day"),
    (r"\bevery 12 hours\b", "every 6 hours"),
    (r"\bevery 8 hours\b", "every 4 hours"),
    (r"\bevery 3 weeks\b", "every week"),
    (r"\bevery 2 weeks\b", "every week"),
    (r"\bevery 4 weeks\b", "every 2 weeks"),
    (r"\bat bedtime\b", "in the morning"),
    (r"\beach morning\b", "each evening"),
)
_FOODS = (
    (r"\bwith or without (food|meals)\b", r"only with \1"),
    (r"\bwithout regard to (food|meals)\b", r"only with \1"),
    (r"\bon an empty stomach\b", "with food"),
    (r"(?<!or )\bwithout (food|meals)\b", r"with \1"),
    (r"(?<!or )\bwith (food|meals)\b(?! or)", r"without \1"),
)
_ENZYMES = ("CYP3A4", "CYP2D6", "CYP2C9", "CYP2C19", "CYP1A2", "CYP2B6")
_COLD = {"20": "2", "25": "8", "68": "36", "77": "46"}  # room temperature -> refrigerator, both scales in step
_WARM = {after: before for before, after in _COLD.items()}


def edits(sentence: str, *, context: str | Sequence[str], drug: str, kind: str = "") -> list[Edit]:
    """All edits of the slots that a question of this kind asks for, in a fixed order; none that `context` also states.

    `context` is the whole label, in one text or section by section. A list, or an answer of more than 60 words, is not edited: nobody could say what of it
    was asked.
    """
    slots = _SLOTS.get(kind, frozenset())
    intro = _INTRODUCTION.match(sentence)
    if intro:  # what is quoted there is the question's, not the answer's
        bare = edits(sentence[intro.end() :], context=context, drug=drug, kind=kind)
        return [Edit(e.kind, e.before, e.after, intro.group() + e.text) for e in bare]
    if "\n" in sentence or len(sentence.split()) > 60 or not slots or len(split_sentences(sentence)) > 1:
        return []
    if re.search(r"\([^)]*\d[^)]*\b(?:total|daily|every|hours|day)\b[^)]*\)", sentence):
        slots = slots - {"frequency"}  # the bracket says the same in other words
    if len(re.findall(r"\b(?:morning|evening|lunch|dinner|breakfast|bedtime|daily|a day|hours)\b", sentence)) > 1:
        slots = slots - {"frequency"}  # the times of day would no longer agree with it
    if _REASONS.search(sentence):
        slots = slots - {"direction", "negation"}  # the opposite of a reasoned statement is absurd
    texts = (context,) if isinstance(context, str) else tuple(context)
    found: list[Edit] = []
    if len(re.findall(r"\b(?:may|can|could|increases?d?|decreases?d?)\b", sentence)) > 1:
        slots = slots - {"direction", "negation"}  # two verbs of which one would be changed contradict each other
    if re.search(
        r"\b(?:[Ii]nhibit\w*|[Bb]lock\w*|[Aa]nt?agonist)\b.*\b(?:activation|to prevent|thereby|result\w*|lead\w*)\b",
        sentence,
    ):
        slots = slots - {"direction"}  # what follows from it would no longer follow
    if re.search(
        r"\b(?:[Aa]gonist|[Aa]ctivat\w*|[Ss]timulat\w*)\b.*\b(?:to (?:induce|increase|promote)|thereby|result\w*|lead\w*)\b",
        sentence,
    ):
        slots = slots - {"direction"}
    if re.search(r"\b(?:[Rr]educe|[Ii]ncrease|[Ll]ower) (?:the |its )?(?:\w+ ){0,3}dos", sentence):
        slots = slots - {"frequency", "number"}  # a reduced dose is not a greater one
    if re.search(r"\bresult(?:s|ed|ing)? in\b|\bCompetition\b|; ", sentence):
        slots = slots - {"direction", "negation"}  # what comes of it, or stands beside it, would no longer fit
    if re.search(r"(?i)\b(?:single|however|but|although|these effects?|this effect)\b", sentence):
        slots = slots - {"frequency", "direction", "negation"}  # what stands beside it would deny it
    if "number" in slots:
        found += _numbers(sentence, texts, kind)
    if "temperature" in slots:
        found += _temperatures(sentence, texts)
    for name, rules in (
        ("frequency", _FREQUENCIES),
        ("food", _FOODS),
        ("negation", _NEGATIONS),
        ("direction", _DIRECTIONS),
    ):
        if name in slots:
            found += _rewritten(name, sentence, rules)
    if "enzyme" in slots:
        found += _enzymes(sentence, texts)
    return [edit for edit in found if edit.text != sentence and not _stands(_changed(edit), texts)]


def _stands(words: str, texts: Sequence[str]) -> bool:
    """Whether a text of the label has the words, however its lines break."""
    return any(words in text or words in _flat(text) for text in texts)


@lru_cache(maxsize=4096)
def _flat(text: str) -> str:
    return " ".join(text.split())


def _changed(edit: Edit) -> str:
    """The edited words with what stands around them, to be looked up in the label."""
    at = edit.text.find(edit.after)
    return edit.text[max(0, at - 25) : at + len(edit.after) + 25]


_REASONS = re.compile(
    r"\b(?:[Dd]ue to|[Bb]ecause|[Ss]ince|[Tt]herefore|thus|so that|which|should|consider|monitor|recommended because|unless)\b(?! not be\b| be avoided\b)"
)
# The unit that a value of the kind has, and what stands right before it.
_VALUE_UNITS = {
    "half-life": r"hour|day|minute|week",
    "peak-time": r"hour|day|minute|week",
    "bioavailability": r"%|percent",
    "protein-binding": r"%|percent",
    "urinary-excretion": r"%|percent",
}
_BEFORE_VALUE = re.compile(
    r"(?:^|\b(?:is|are|was|were|be|contains|exceed|approximately|about|averages|answer is)\s|”:\s|half-life of\s|bioavailability of\s)(?:approximately |about )?$"
)


_INTRODUCTION = re.compile(r"(?:The label of .{2,80}? states:|On “[^”]+”, the label of .{2,80}? states:)\s+")


def _numbers(sentence: str, texts: Sequence[str], kind: str) -> Iterator[Edit]:
    """The value halved or doubled; silent where a bracket or a second mention repeats it."""
    units = _VALUE_UNITS.get(kind, r"^(?:mg|mcg|g|units?|IU|milligrams|micrograms)\b|^mL$")
    if re.search(r"\([^)]*\d[^)]*\)", sentence) or len(re.findall(r"\d+(?:\.\d+)?", sentence)) > 5:
        return
    for match in QUANTITY.finditer(sentence):
        fits = re.search(units, match.group("unit")) and _BEFORE_VALUE.search(sentence[: match.start()])
        if fits and not match.group("to") and not match.group("sign"):
            yield from _scaled_values(sentence, match, frozenset[str]().union(*map(quantities, texts)))
            return


def _scaled_values(sentence: str, match: re.Match[str], stated: frozenset[str]) -> Iterator[Edit]:
    number, rest = match.group("number"), sentence[match.end() :]
    value = float(number.replace(",", ""))
    top = 100 if match.group("unit") in {"%", "percent"} else 1e6
    if len(re.findall(rf"(?<![\d.,]){re.escape(number)}(?![\d.,]*\d)", sentence)) != 1 or re.match(
        r"\s?(?:or|to|and|,|-|–)\s?\d", rest
    ):
        return
    for factor in (2, 0.5):
        changed = plain_number(f"{value * factor:.3f}")
        spelled = f"{value * factor:,.0f}" if "," in number else changed
        after = match.group().replace(number, spelled, 1)
        odd = len(changed.partition(".")[2]) > max(1, len(number.partition(".")[2]))
        if 0 < value * factor < top and not odd and len(changed) <= 6 and not quantities(after) & stated:
            if value * factor <= 1 < value and match.group("unit").endswith("s"):
                continue
            yield Edit("number", match.group(), after, sentence[: match.start()] + after + rest)


def _temperatures(sentence: str, texts: Sequence[str]) -> Iterator[Edit]:
    """Room temperature for the refrigerator and back, Celsius and Fahrenheit in step; other degrees ten away, C alone."""
    if "xcursion" in sentence or not re.search(r"\d", sentence):
        return
    numbers = set(re.findall(r"\d+", sentence))
    for table, words in ((_COLD, ("room temperature", "")), (_WARM, ("refrigerat", "freez"))):
        mixed = any(word and word in sentence.casefold() for word in words)
        if not mixed and numbers and numbers <= table.keys():
            text = re.sub(r"\d+", _looked_up(table), sentence)
            yield Edit("temperature", sentence, text, text)
            return
    celsius = re.search(r"(?P<low>\d+) to (?P<high>\d+) degrees C\b", sentence)
    if celsius and "F" not in sentence:
        for step in (10, -10):
            low, high = int(celsius["low"]) + step, int(celsius["high"]) + step
            after = f"{low} to {high} degrees C"
            if low > 0 and not _stands(after, texts):
                text = sentence[: celsius.start()] + after + sentence[celsius.end() :]
                yield Edit("temperature", celsius.group(), after, text)


def _looked_up(table: Mapping[str, str]) -> Callable[[re.Match[str]], str]:
    return lambda match: table[match.group()]


def _rewritten(kind: str, sentence: str, rules: tuple[tuple[str, str], ...]) -> Iterator[Edit]:
    """The first rule that fits: its words stand once, so that the rest of the statement still agrees."""
    if kind == "negation" and sum(bool(re.search(before, sentence)) for before, _ in rules) > 1:
        return  # it denies or allows two things, and only one of them would be changed
    for before, after in rules:
        hits = list(re.finditer(before, sentence))
        if len(hits) == 1 and not (kind == "direction" and re.search(r"\bnot\b|\bno\b", sentence)):
            text = re.sub(r"\b([Aa]) (?=antag|activ|agon|incr)", r"\1n ", re.sub(before, after, sentence, count=1))
            text = re.sub(r"\b([Aa])n (?=decr|lower|higher|block)", r"\1 ", text)
            new = hits[0].expand(after)
            yield Edit(kind, hits[0].group(), " ".join(new.split()), " ".join(text.split(" ")).replace("  ", " "))
            return


def _enzymes(sentence: str, texts: Sequence[str]) -> Iterator[Edit]:
    named = [enzyme for enzyme in _ENZYMES if re.search(rf"\b{enzyme}\b", sentence)]
    other = next((enzyme for enzyme in _ENZYMES if not any(enzyme in text for text in texts)), "")
    if len(named) == 1 and other and sentence.count(named[0]) == 1:
        yield Edit("enzyme", named[0], other, sentence.replace(named[0], other))
