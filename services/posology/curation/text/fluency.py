"""Whether a text reads as its author wrote it: no heading glued to a sentence, nothing said twice, no broken grammar.

The last gate before a statement is asked about. It knows nothing of drugs: a word that the label writes small elsewhere
and large in the middle of a sentence starts something that lost its full stop; a sentence without a finite verb among
whole ones is what is left of a list or of the first page.
"""
# ruff: noqa: E501  (expressions read better unbroken)

import re
from collections.abc import Iterator
from functools import lru_cache

from posology.curation.text.normal import split_sentences
from posology.curation.text.repair import IMPERATIVE

_SMALL = re.compile(r"(?<![A-Za-z’'])[a-z]{3,}\b")
_LARGE = re.compile(r"(?<=[A-Za-z0-9)%,’] )[A-Z][a-z]{2,}(?![\w’'])(?:-[A-Za-z]+)*")
# What is written large by right, though labels write it small as well.
_NAMES = re.compile(
    r"(?:^|(?<=[a-z,] ))(?:[A-Z][\w-]+ (?:[a-z]+ )?(?:of |and |or |with |to )?){1,6}(?=\([A-Za-z]{1,3}[A-Z][A-Za-z-]{0,6}\))|Limitations? of Use|Bipolar(?: I{1,2})? Disorder\b|(?:Hepatitis|Influenza|Grade|Streptococcus|Group) [A-G]\b|"
    r"\b(?:Boxed Warning|Poison (?:Control|Help)(?: Centers?| Line)?|(?:[A-Z][\w-]+ )*(?:Registry|Registries|Program|Association|Organization|Administration|Institute|Society|Criteria|Classification|Scale|Score|Index|Questionnaire|Inventory|Guidelines?|Strategy|Committee|Collaborative|Guide|Instructions|Information|Syndrome|Disease|Network|College|Center|Centers|Service|Hotline)\b|"
    r"(?:Grades?|Class|Classes|Types?|Days?|Weeks?|Months?|Years?|Parts?|Groups?|Phases?|Stages?|Category|Categories|Schedules?|Trials?|Studies|Study|Cohorts?|Cycles?|Steps?|Cases?|Visits?|Factors?|Stage|Level|Levels|Tier|Arm|Regimen|Option|Dose|Line|Baseline|Vitamin|Factor|Protein|Complex) (?:[0-9IVX]+[A-D]?|[A-Z])\b|"
    r"Instructions for Use|Medication Guide|Patient (?:Information|Counseling)|Prescribing Information|Subpart [A-Z]|Gram[ -](?:positive|negative)|"
    r"(?:Tablets?|Capsules?|Injection|Oral|Solution|Suspension|Cream|Ointment|Gel|Lotion|Spray|Nasal|Ophthalmic|Otic|Topical|Transdermal|System|Patch|Extended|Delayed|Immediate|Release|Chewable|Powder|Granules|Syrup|Elixir|Drops|Inhalation|Aerosol|Vials?|Concentrate|Emulsion|Foam|Shampoo|Suppositor(?:y|ies)|Implant|Lozenges?|Kit|Pens?|Autoinjector|Syringes?|Liposome|Sodium|Potassium|Calcium|Magnesium|Hydrochloride|Sulfate|Acetate|Maleate|Mesylate|Tartrate|Succinate|Phosphate|Citrate|Chloride|Bromide|Fumarate|Acid|Water|Dextrose|Ringer|Lactated|Sterile|Bacteriostatic|Intravenous|Sublingual|Film|Pellets|Packets?|Hydrobromide|Nitrate|Besylate|Disodium|Hyclate|Monohydrate|Alfa|Beta)(?:-[A-Z]?[a-z]+)*)\b"
)
_QUOTED = re.compile(r"“[^”]*”|\"[^\"]*\"")
_BRACKETS = re.compile(r"\s*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\]]*\])")
_FINITE = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|can|cannot|may|might|should|must|will|would|could|do|does|did|occurs|occurred|causes|caused|inhibits|binds|acts|reduces|reduced|contains|provides|includes?|included|consists?|ranged|showed|shows|demonstrated|resulted|results in|undergoes|"
    r"belongs|works|blocks|prevents|exhibits|produces|appears?|appeared|received|experienced|developed|crosses|exerts|remains?|leads|affects|activates|stimulates|relieves|treats|helps|comes|interacts|requires|suggests?|accounts|depends|varies|represents|enhances|modulates|targets|potentiates|antagonizes|"
    r"suppresses|interferes|averages|accumulates|distributes|elevates|impairs|disrupts|promotes|mediates|increases|decreases|increased|decreased|reported|observed|established|differed|lowers|raises|passes|persists?|contributes?|indicates?|support|supports|need|needs|make|makes|gives?|use[ds]?|takes?|stop|ask|led|began|died|became|becomes?|involves?|works?|"
    r"binds?|range|ranges|exceeded|exceeds|followed|follows|begins?|begin|starts?|ends?|lasts?|develops?|associated|excreted|metabolized|recommended|required|needed|contraindicated|indicated|supplied|available|inhibit|inhibited|activated?|promote[sd]?|belong|bind|bound|suppress|suppressed|reduce|prevent|prevented|stimulated?|blocked|undergo|act|metabolizes|converts?|contain)\b"
)
_BROKEN = re.compile(
    r"\b(?!had\b|that\b|in in vi)([A-Za-z]{2,}) \1\b|\b(?:a|an|the) (?:a|an|the|is|are|was|were|and|or|of|in|may|can)\b|\b(?:of|with|for|by|from|into|the|an?|and|or|at|than|as|is|are|was|were) ?(?:\.|;|$)|\b(?:the|an?) ?,|"
    r"\b(?:of|with|for|by|than) (?:is|are|was|were|has|have|may|can)\b|\b(?:cause|causes|include|includes|produce|is|are|was|were) and (?:may|can|is|are|should)\b|"
    r"\b(?:patient|woman|child|subject|infant|person|man|mother) (?:have|were|are)\b|"
    r"\b[Aa] (?=[aeio][a-z]{3,})(?!one|once|uni|eu|us|u)[a-z]+\b|\b[Aa]n (?=[bcdfgjkpqtvwz][a-z]{3})[a-z]+\b|\( |\s[,;]|,,|;;|\?\?|\b(?:may|can|should|must) (?:is|are|was|has|been)\b|\bto (?:is|are|was|been)\b|\bnot (?:is|are|was|be been)\b|\bit['’]s\b|"
    r"\b(?:[Tt]he s|S)afety and (?:efficacy|effectiveness)(?: (?:of|in|for) [^.,;]{2,80}?)? (?:has|was|is)\b|\b[Ee]fficacy and safety (?:has|was|is)\b|[a-z],\d{2}| [b-hj-z] (?=[a-z])|^Based on [^,]*,? (?:may|can) cause\b|\bsymbol,|[a-z]{4} - [a-z]{4}|\b[A-Z](?:There|This|The|These|When|Based|Safety|Animal|Studies|Administration)\b|\b[a-z]{5,}s \d{1,2}\.?$|[a-z], \d{1,2} (?:in|have|has|reported|who|and|of|the|a)\b|(?i:\b(\w{3,} \w{3,}) \2\b)|"
    r"\d(?:st|nd|rd|th)[a-z]{3,}|\d(?:was|were|is|and|the|of|in)\b|[a-z] (?:In|During|Among|At|For) (?:[A-Z]|the )|"
    r"\bestablished (?:pediatric|geriatric|adult|children|patients)\b|\blogo \w+ logo\b|^[A-Z][\w-]+ in a patient who is being\b|^(?:Non-?)?[Tt]eratogenic [Ee]ffects (?=[A-Z])|"
    r"(?<!e\.g)(?<!i\.e)(?<! vs)(?<!etc)(?<!approx)(?<!spp)(?<! [A-Z])[a-z)]\. [a-z]{2}"
)


_REFERENCE = re.compile(r"\[(?:see )?[A-Z][a-z]+ [A-Z][a-z]+[^\]]*\]")


@lru_cache(maxsize=4096)
def small_words(text: str) -> frozenset[str]:
    """The words that a text writes small."""
    return frozenset(_SMALL.findall(text))


def flaw(
    text: str, *, small: frozenset[str] = frozenset(), names: tuple[str, ...] = (), fragments: bool = False
) -> str:
    """What is wrong with the form of a text that may be asked about, in a few words; "" for nothing.

    `small`: words that the label writes small somewhere; `names`: names of the drug, large wherever they stand;
    `fragments`: whether items without a verb may stand among the sentences.
    """
    units = tuple(_units(text))
    if not units:
        return "nothing is stated"
    if _REFERENCE.search(text):
        return "a reference that was left behind"
    for unit, role in units:
        listed = role != "sentence"
        if word := _glued(unit, small, names):
            return f"“{word}” starts something that lost its full stop"
        if (broken := _BROKEN.search(_unquoted(unit))) and not (listed and broken.end() == len(_unquoted(unit))):
            return f"“{broken.group()}” is no grammar"
        if word := _starts_amid(unit) or _commands_amid(unit) or _name_amid(unit, names):
            return f"“{word}” starts something that lost its full stop"
        if _echoes(unit):
            return "something is said twice"
        if role == "item" and _HANGS.search(unit):
            return "an item that breaks off"
        if _runs_on(unit):
            return "a list whose items run together"
        if not listed and not fragments and not _FINITE.search(unit) and not _commands(unit) and ": " not in unit:
            return "a sentence without a verb"
    if any(role == "item" and re.match(r"(?:The m|M)ost (?:common|frequent)", unit) for unit, role in units):
        return "a sentence among items"
    if _has_heading_among([unit for unit, role in units if role == "item"]):
        return "a heading among items"
    return "something is said twice" if _twice([unit for unit, _ in units]) else ""


def _has_heading_among(items: list[str]) -> bool:
    """One large word alone, beside items that go on from their stem in small letters."""
    alone = any(re.fullmatch(r"[A-Z][a-z]+\.?", item) for item in items)
    return alone and any(item[0].islower() and " " in item for item in items)


def _units(text: str) -> Iterator[tuple[str, str]]:
    """(text, "sentence" or "stem" or "item"), in order; a line that ends in a colon above prose is a heading."""
    lines = text.split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        item, stem = line.startswith("- "), line.endswith(":")
        if stem and not below.startswith("- "):
            continue
        role = "item" if item else "stem" if stem else "sentence"
        for sentence in split_sentences(line.removeprefix("- ").strip().removesuffix(":")):
            yield sentence, role


_OPEN_LIST = re.compile(
    r"\b(?:with|of|for|in|the|to|patients|women|who|have|has|conditions|situations|are|is|indicated|contraindicated|include|includes|following|either|when|if|by): (?P<rest>[^\n]+)$"
)


def _runs_on(unit: str) -> bool:
    """A list behind a colon with nothing between its items."""
    match = _OPEN_LIST.search(_BRACKETS.sub("", unit))
    rest = match["rest"] if match else ""
    return len(rest.split()) >= 8 and not re.search(r"[;,]|\band/or\b", rest)


_HANGS = re.compile(r"\b(?:of|for|with|the|in|to|an?|by|from|than|as) ?\.?$")


_STARTER = re.compile(
    r"(?P<before>[A-Za-z0-9)]+) (?P<word>A|An|The|If|It|This|These|Each|There|When|Use|Avoid) (?P<next>[a-z]+)"
)


_NAMED_BY_LETTER = frozenset(
    [
        "vitamin",
        "hepatitis",
        "type",
        "class",
        "group",
        "factor",
        "part",
        "cohort",
        "arm",
        "influenza",
        "option",
        "protein",
        "trial",
        "coenzyme",
        "gaba",
        "study",
        "column",
        "category",
        "grade",
        "pugh",
        "schedule",
    ]
)


def _starts_amid(unit: str) -> str:
    """A small word that is written large only at the beginning of a sentence, in the middle of one."""
    for match in _STARTER.finditer(_unquoted(unit)):
        before, word = match["before"], match["word"]
        names = word == "A" and before.casefold() in _NAMED_BY_LETTER
        if not names and not (word == "A" and match["next"] in {"of", "and", "or", "virus"}):
            return word
    return ""


_BEFORE_A_NAME = frozenset(
    ["and", "or", "but", "that", "which", "when", "if", "because", "while", "since", "although", "whether", "until", "before", "after", "where", "unless", "therefore", "thus", "then", "than", "whom", "how", "so"]
)  # fmt: skip


def _name_amid(unit: str, names: tuple[str, ...]) -> str:
    """The drug's name where a sentence starts whose stop got lost: "to the abdomen VELTORAN is also indicated"."""
    for name in names:
        if name not in unit:
            continue
        for match in re.finditer(
            rf"(?P<before>[a-z]{{2,}}) (?P<name>{re.escape(name)})(?: \([^)]*\))? (?:is|are) (?:also |not )?(?:indicated|contraindicated|available|supplied)\b",
            unit,
        ):
            if match["before"] not in _BEFORE_A_NAME and match["name"][0].isupper():
                return match["name"]
    return ""


# Orders that no name, title or heading inside a sentence starts with.
_ORDERS = re.compile(r"(?<=[a-z0-9)] )(?:Initiate|Administer|Discontinue|Withhold|Avoid|Advise|Reduce|Resume|Refrigerate|Dispense|Swallow|Instruct|Monitor|Consider|Permanently|Interrupt|Titrate)(?= [A-Za-z])")  # fmt: skip


def _commands_amid(unit: str) -> str:
    """An order in the middle of a sentence: "12 mg (5 mL) per administration Initiate VELTORAN with"."""
    match = _ORDERS.search(_unquoted(unit))
    return match.group() if match else ""


def _echoes(unit: str) -> bool:
    """Whether seven words in a row come twice in one clause; two clauses with a semicolon between them may be alike."""
    return any(_repeats_itself(re.findall(r"[a-z0-9-]+", clause)) for clause in unit.casefold().split("; "))


def _repeats_itself(words: list[str]) -> bool:
    rows = [tuple(words[at : at + 7]) for at in range(len(words) - 6)]
    return len(set(rows)) < len(rows)


def _commands(unit: str) -> bool:
    """Whether it tells what to do: "Discard it.", "If it is cloudy, do not use it."."""
    words = re.findall(r"[A-Za-z]+", unit)[:1] + re.findall(r"(?<=, )[a-z]+|\bnot [a-z]+", unit)
    return any(word.split()[-1].casefold() in IMPERATIVE for word in words)


def _glued(unit: str, small: frozenset[str], names: tuple[str, ...]) -> str:
    """A word in the middle of a sentence that is large for no other reason than to start another one."""
    bare = _NAMES.sub(lambda m: m.group().casefold(), _QUOTED.sub("quotation", unit))
    bare = _BRACKETS.sub("", bare)
    for name in names:
        if name.casefold() in bare.casefold():
            bare = re.sub(rf"(?i:{re.escape(name)})", lambda m: m.group().upper(), bare)
    for match in _LARGE.finditer(bare):
        first = re.match(r"[A-Z][a-z]+", match.group())
        if first and first.group().casefold() in small:
            return match.group()
    return ""


def _unquoted(unit: str) -> str:
    """Without brackets, and one word for what is quoted."""
    return _BRACKETS.sub("", _QUOTED.sub("quotation", unit))


def _twice(units: list[str]) -> bool:
    """Whether one unit says again what another one says: nearly the same words, the same numbers and negations."""
    gists = [_gist(unit) for unit in units]
    for number, (words, figures, negations) in enumerate(gists):
        for other, others, denials in gists[:number]:
            shorter, longer = sorted((words, other), key=len)
            alike = (
                len(shorter) >= 3 and len(shorter & longer) >= 0.9 * len(shorter) and len(shorter) >= 0.5 * len(longer)
            )
            if alike and negations == denials and (figures <= others or others <= figures):
                return True
    return False


@lru_cache(maxsize=16384)
def _gist(unit: str) -> tuple[frozenset[str], frozenset[str], int]:
    words = frozenset(w[:7] for w in re.findall(r"[a-z][a-z0-9-]{3,}", unit.casefold()))
    words |= frozenset(re.findall(r"\b[A-Z][A-Z0-9]{1,3}\b", unit))
    return words, frozenset(re.findall(r"\d[\d.,]*\d|\d", unit)), len(re.findall(r"\b(?:no|not|never|without)\b", unit))
