"""Clinical facts inside a text as slots: quantities, frequencies, routes, comparators, negations, populations, drugs.

Two texts that differ in one of these differ in medicine, however close their embeddings are: MiniLM puts
"CrCl below 30" and "CrCl above 30" at a cosine of .999.
"""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from dataclasses import dataclass, fields
from functools import lru_cache

from posology.core.amounts import in_one_spelling
from posology.curation.text.normal import normal

_NUMBER = r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+"
_BASE = (
    "micrograms?|milligrams?|kilograms?|nanograms?|grams?|milliliters?|millilitres?|liters?|litres?|mcg|µg|μg|ug|mg|ng|pg|kg|g|mL|dL|L|mIU|IU|mEq|mmol|nmol|µmol|mol|mmHg|mCi|MBq|mOsm|"
    "units?|international units|cells|copies|Hz|Gy|msec|ms|cm|mm|m2|m²"
)
_PER = r"(?:\s?(?:/|per )\s?(?:kg|m2|m²|m\^2|day|d|hours?|hr|h|minutes?|min|seconds?|sec|s|mL|dL|L|dose|week|wk|tablet|1\.73 ?m2|1\.73 ?m²|1\.73 ?m\^2))"
_COUNTED = (
    "%|percent|seconds?|minutes?|min|hours?|hrs?|h|days?|weeks?|months?|years?|°\\s?C|°\\s?F|º\\s?C|º\\s?F|degrees C|degrees F|times|fold|"
    "tablets?|capsules?|doses?|drops?|sprays?|puffs?|patch(?:es)?|vials?|teaspoonfuls?|tablespoonfuls?|caplets?|sachets?|applications?|inhalations?"
)
UNITS = rf"(?:{_BASE}){_PER}{{0,3}}|{_COUNTED}"
_MUTATION = r"\d{2,4}[A-Z]\b"  # exon 21 L858R holds no 21 litres
QUANTITY = re.compile(
    rf"(?<![\w.^])(?P<sign>(?:(?<=\s)|(?<=\()|^)[-−–])?(?P<number>{_NUMBER})(?:\s?(?:-|–|to)\s?(?P<to>{_NUMBER}))?\s?-?(?P<unit>{UNITS})(?![A-Za-z])(?!/[A-Za-z])(?!{_MUTATION})"
)
BARE_NUMBER = re.compile(rf"(?<![\w.^])(?P<sign>(?:(?<=\s)|(?<=\()|^)[-−–])?(?P<number>{_NUMBER})(?![\w.]*\d|\w)")
_WORDS = {
    "two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11",
    "twelve": "12", "fourteen": "14", "fifteen": "15", "twenty": "20", "thirty": "30", "half": "0.5", "double": "2x", "triple": "3x",
    "twice": "2x", "thrice": "3x",
}  # fmt: skip
_NUMBER_WORD = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")

_SAME_UNIT = {
    "percent": "%", "pound": "lb", "ounce": "oz", "inches": "inch", "microgram": "mcg", "µg": "mcg", "μg": "mcg", "ug": "mcg", "milligram": "mg", "gram": "g", "kilogram": "kg", "nanogram": "ng",
    "milliliter": "ml", "millilitre": "ml", "liter": "l", "litre": "l", "msec": "ms", "unit": "iu", "international unit": "iu", "m²": "m2", "m^2": "m2",
    "hour": "h", "hr": "h", "hrs": "h", "h": "h", "minute": "min", "second": "s", "sec": "s", "day": "d", "week": "wk", "degrees c": "°c", "degrees f": "°f", "º c": "°c", "ºc": "°c",
    "º f": "°f", "ºf": "°f", "° c": "°c", "° f": "°f", "1.73 m2": "1.73m2", "1.73 m²": "1.73m2", "1.73m²": "1.73m2",
}  # fmt: skip
_SCALES = {  # units of one scale: 1 g and 1,000 mg are one amount
    "ng": ("mg", 1e-6), "mcg": ("mg", 0.001), "mg": ("mg", 1.0), "g": ("mg", 1000.0), "kbq": ("mbq", 0.001), "mbq": ("mbq", 1.0), "gbq": ("mbq", 1000.0),
    "mcci": ("mci", 0.001), "µci": ("mci", 0.001), "μci": ("mci", 0.001), "uci": ("mci", 0.001), "mci": ("mci", 1.0), "µl": ("ml", 0.001), "μl": ("ml", 0.001), "ul": ("ml", 0.001), "mcl": ("ml", 0.001), "ml": ("ml", 1.0),
    "dl": ("ml", 100.0), "l": ("ml", 1000.0),
}  # fmt: skip

_COMPARATORS = {
    "below": "<", "less than": "<", "under": "<", "lower than": "<", "fewer than": "<", "<": "<", "at most": "<=", "no more than": "<=", "younger than": "<",
    "not more than": "<=", "not exceed": "<=", "maximum": "<=", "up to": "<=", "≤": "<=", "<=": "<=", "above": ">", "or less": "<=", "or fewer": "<=", "or below": "<=",
    "more than": ">", "greater than": ">", "over": ">", "higher than": ">", "exceeding": ">", "exceeds": ">", "older than": ">", ">": ">", "or more": ">=", "or older": ">=",
    "or above": ">=", "or greater": ">=", "at least": ">=", "no less than": ">=", "not less than": ">=", "minimum": ">=", "≥": ">=", ">=": ">=",
    "greater than or equal to": ">=", "less than or equal to": "<=", "before": "before", "prior to": "before", "after": "after", "following": "after", "until": "until",
}  # fmt: skip


def _either(words: dict[str, str]) -> re.Pattern[str]:
    return re.compile(
        "|".join(
            rf"(?<!\w){re.escape(word)}(?!\w)" if word[0].isalpha() else re.escape(word)
            for word in sorted(words, key=len, reverse=True)
        )
    )


_COMPARATOR = _either(_COMPARATORS)
_NEGATIONS = (
    (r"(?:do|should|must|may|can) ?not (?:be )?(?:co-?administered|administered|administer|use[d]?|give[n]?|take[n]?|start(?:ed)?|receive)\b", "forbid"),
    (r"contraindicated", "forbid"),
    (r"(?:is |are )?not (?:be )?recommended|should be avoided|\bavoid(?:ed|ance)?\b", "discourage"),
    (r"need not|(?:is |are )?not (?:required|necessary|needed)|no need", "not needed"),
    (r"\b(?:not|no|never|none|neither|nor|cannot|without|non|lacks?|absence of|absent)\b|n't\b", "not"),
    (r"\b(?:unlikely|unknown|unsafe|ineffective|unable|inactive|insufficient|inadequate|incompatible|unsuitable|unresponsive|impossible|negative|fails?|failed|denied)\b", "un"),
    (r"\b(?:except|unless|excluding|other than)\b", "except"),
    (r"\b(?:discontinue[ds]?|discontinuation|stop(?:ped)?|withhold|withheld|withdraw|interrupt)\b", "stop"),
    (r"\b(?:start(?:ed)?|initiate[ds]?|initiation|resume[ds]?)\b", "start"),
    (r"\b(?:continue[ds]?)\b", "continue"),
)  # fmt: skip
_NEGATION = tuple((re.compile(expression), name) for expression, name in _NEGATIONS)
_OPPOSITES_TEXT = """
    up=increase increases increased increasing raise raises raised elevate elevates elevated higher rise rises
    down=decrease decreases decreased decreasing reduce reduces reduced reducing lower lowers lowered decline declines
    agonist=agonist agonists; antagonist=antagonist antagonists; inhibitor=inhibitor inhibitors inhibits inhibit inhibited
    inducer=inducer inducers induces induce; activator=activator activates activate stimulates stimulator; blocker=blocker blockers blocks
    acute=acute; chronic=chronic; primary=primary; secondary=secondary; systolic=systolic; diastolic=diastolic; loading=loading; maintenance=maintenance
    starting=starting initial; extended=extended-release er xr; immediate=immediate-release ir; delayed=delayed-release; benign=benign; malignant=malignant
    sensitive=sensitive susceptible; resistant=resistant; left=left; right=right; morning=morning; evening=evening; night=night bedtime; fast=rapidly rapid quickly
    slow=slowly slow gradually; early=early; late=late; proximal=proximal; distal=distal; arterial=arterial; venous=venous; anterior=anterior; posterior=posterior
    vitro=vitro; vivo=vivo; alpha=alpha; beta=beta; gamma=gamma; sterile=sterile; live=live; inactivated=inactivated; common=common frequent; rare=rare rarely uncommon
    protect=protect; expose=expose exposed; frozen=freeze frozen; refrigerated=refrigerate refrigerated refrigerator; substrate=substrate substrates
    upper=upper; lower-part=; minor=minor; major=major; partial=partial; complete=complete; safe=safe; effective=effective; bacterial=bacterial; viral=viral; fungal=fungal
    symptomatic=symptomatic; asymptomatic=asymptomatic; sunlight=sunlight; dark=dark; diluted=diluted dilute; undiluted=undiluted; unopened=unopened; opened=opened
"""
_OPPOSITES = {
    word: name.strip()
    for entry in re.split(r"[;\n]", _OPPOSITES_TEXT)
    if "=" in entry
    for name, words in [entry.strip().split("=", 1)]
    for word in words.split()
}
_PREFIXED = re.compile(
    r"\b(hyper|hypo|tachy|brady|poly|oligo|pre|post|macro|micro|intra|extra)-?(?!grams?\b|ven|musc|nas|thec|derm|vit)([a-z]{4,})"
)
_POPULATIONS = {
    "pediatric": "child", "children": "child", "child": "child", "infants": "infant", "infant": "infant", "pediatrics": "child", "toddlers": "child",
    "neonates": "neonate", "neonate": "neonate", "newborns": "neonate", "newborn": "neonate", "premature": "premature", "preterm": "premature", "adolescents": "adolescent",
    "adolescent": "adolescent", "adults": "adult", "adult": "adult", "geriatric": "elderly", "elderly": "elderly",
    "older patients": "elderly", "older adults": "elderly", "pregnant": "pregnant", "pregnancy": "pregnant", "breastfeeding": "lactating", "breast milk": "lactating", "human milk": "lactating",
    "breast-feeding": "lactating", "nursing": "lactating", "lactating": "lactating", "lactation": "lactating", "breastfed": "lactating",
    "renal impairment": "renal", "renal failure": "renal", "renal insufficiency": "renal", "renal": "renal", "kidney": "renal", "dialysis": "dialysis", "hemodialysis": "dialysis",
    "hepatic impairment": "hepatic", "hepatic failure": "hepatic", "hepatic": "hepatic", "liver": "hepatic", "cirrhosis": "hepatic", "male": "male", "cardiac": "cardiac", "heart": "cardiac",
    "males": "male", "men": "male", "female": "female", "females": "female", "women": "female", "boys": "male", "girls": "female", "postmenopausal": "postmenopausal", "premenopausal": "premenopausal",
    "immunocompromised": "immunocompromised", "diabetic": "diabetic", "smokers": "smokers", "nonsmokers": "nonsmokers", "poor metabolizers": "poor", "extensive metabolizers": "extensive",
    "healthy": "healthy",
}  # fmt: skip
_POPULATION = re.compile("|".join(rf"\b{re.escape(word)}\b" for word in sorted(_POPULATIONS, key=len, reverse=True)))
_SEVERITY = re.compile(
    r"\b(?:mild|moderate|severe|first|second|third|fourth|type (?:[12]|i{1,2}|iv|v)|stage (?:\d|i{1,3}|iv)|grade \d(?: or \d)?|class (?:[abc]|i{1,3}|iv)|child-pugh [abc]|schedule (?:i{1,3}|iv|v)|trimester|strong|weak|category [abcdx])\b"
)
_FREQUENCIES = (
    (r"\b(?:twice|two times|2 times|bid|b\.i\.d\.?)(?: (?:a|per|each|every) day| daily)?\b|\bevery (?:12|twelve) hours\b|\bq12h\b", "2/d"),
    (r"\b(?:three|3) times (?:a|per|each) day\b|\bthree times daily\b|\b3 times daily\b|\btid\b|\bt\.i\.d\.?|\bevery (?:8|eight) hours\b|\bq8h\b", "3/d"),
    (r"\b(?:four|4) times (?:a|per|each) day\b|\bfour times daily\b|\b4 times daily\b|\bqid\b|\bq\.i\.d\.?|\bevery (?:6|six) hours\b|\bq6h\b", "4/d"),
    (r"\b(?:twice|two times) (?:a|per|each) week\b|\btwice weekly\b", "2/wk"),
    (r"\bevery other day\b|\bon alternate days\b|\bevery 48 hours\b|\bevery (?:2|two) days\b", "1/2d"),
    (r"\bevery (?:other|2|two) weeks?\b|\bevery 14 days\b|\bbiweekly\b|\bfortnightly\b", "1/2wk"),
    (r"\bevery (?:3|three) weeks\b|\bevery 21 days\b", "1/3wk"),
    (r"\bevery (?:4|four) weeks\b|\bevery 28 days\b", "1/4wk"),
    (r"\b(?:once )?monthly\b|\b(?:once )?(?:a|per|each|every) month\b", "1/mo"),
    (r"\b(?:once )?(?:weekly)\b|\b(?:once )?(?:a|per|each|every) week\b|/week\b|/wk\b|\bevery (?:7|seven) days\b", "1/wk"),
    (r"\b(?:once )?daily\b|\b(?:once )?(?:a|per|each|every) day\b|/day\b|/d\b|\bqd\b|\bq\.d\.?|\bevery 24 hours\b|\bonce-daily\b", "1/d"),
    (r"\bas needed\b|\bprn\b|\bwhen required\b", "prn"),
    (r"\bsingle\b|\bone-time\b|\bonce\b", "once"),
)  # fmt: skip
_FREQUENCY = tuple((re.compile(expression), name) for expression, name in _FREQUENCIES)
_ROUTES = {
    "oral": "oral", "orally": "oral", "by mouth": "oral", "swallow": "oral", "swallowed": "oral", "intravenous": "iv", "intravenously": "iv", "iv": "iv", "i.v.": "iv", "into a vein": "iv",
    "intramuscular": "im", "intramuscularly": "im", "im": "im", "i.m.": "im", "subcutaneous": "sc", "subcutaneously": "sc", "sc": "sc", "under the skin": "sc", "topical": "topical",
    "topically": "topical", "inhaled": "inhaled", "inhalation": "inhaled", "rectal": "rectal", "rectally": "rectal", "vaginal": "vaginal", "vaginally": "vaginal", "ophthalmic": "eye",
    "eye": "eye", "eyes": "eye", "otic": "ear", "ear": "ear", "ears": "ear", "nasal": "nasal", "intranasal": "nasal", "intranasally": "nasal", "sublingual": "sublingual", "sublingually": "sublingual", "buccal": "buccal",
    "transdermal": "transdermal", "intrathecal": "intrathecal", "intrathecally": "intrathecal", "epidural": "epidural", "intravitreal": "intravitreal", "intradermal": "intradermal", "bolus": "bolus", "infusion": "infusion", "nebulized": "inhaled",
}  # fmt: skip
_ROUTE = _either(_ROUTES)
_MEALS = (
    (r"with or without (?:food|meals|a meal)|without regard to (?:food|meals)|regardless of (?:food|meals)", "any"),
    (r"without (?:food|meals|a meal)|empty stomach|fasting|fasted|between meals", "fasted"),
    (r"with (?:a )?(?:high-fat )?(?:food|meals?)|fed|after (?:food|meals|eating|a meal)", "fed"),
)
_MEAL = tuple((re.compile(rf"\b(?:{expression})\b"), name) for expression, name in _MEALS)

_ENZYME = re.compile(r"\b(?:(?:cyp|ugt)[\s-]?\d[a-z]\d{1,2}|p-gp|bcrp|oatp\d[a-z]\d|oat[1-3]|oct[1-3]|mate[12])\b")

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
    """What must be equal before two texts may be called duplicates: one set of canonical values per slot."""

    drugs: frozenset[str]
    quantities: frozenset[str]
    comparators: frozenset[str]
    negations: frozenset[str]
    populations: frozenset[str]
    frequencies: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    directions: frozenset[str] = frozenset()
    bindings: frozenset[str] = frozenset()  # which amount is whose, where a text names several of both
    enzymes: frozenset[str] = frozenset()  # and transporters: CYP2C9 is not CYP2C19

    def differences(self, other: "Fingerprint") -> tuple[str, ...]:
        """The kinds of facts in which the two differ, for the expert who has to look."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name))


@lru_cache(maxsize=4096)
def fingerprint(text: str, *, drugs: frozenset[str] = COMMON_DRUGS) -> Fingerprint:
    """The clinical facts of a text as sets; word order and wording do not matter, numbers and units do."""
    plain = normal(text)
    words = frozenset(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*", plain))
    often, rest = _named(_FREQUENCY, plain)
    meals, rest = _named(_MEAL, rest)
    negations, _ = _named(_NEGATION, rest)
    amounts = quantities(text)
    bare = words | frozenset(part for word in words for part in word.split("-"))
    directions = {_OPPOSITES[w] for w in words | bare if w in _OPPOSITES}
    directions |= {"".join(m.groups()) for m in _PREFIXED.finditer(plain)}
    return Fingerprint(
        drugs=bare & drugs,
        quantities=amounts - _said_as(often),
        comparators=frozenset(_COMPARATORS[m.group()] for m in _COMPARATOR.finditer(plain)),
        negations=negations,
        populations=frozenset(_POPULATIONS[m.group()] for m in _POPULATION.finditer(plain))
        | frozenset(m.group() for m in _SEVERITY.finditer(plain)),
        frequencies=often | meals,
        routes=frozenset(_ROUTES[m.group()] for m in _ROUTE.finditer(plain)),
        directions=frozenset(directions),
        bindings=_bindings(text),
        enzymes=frozenset(re.sub(r"[\s-]", "", m.group()) for m in _ENZYME.finditer(plain)),
    )


def _named(table: tuple[tuple[re.Pattern[str], str], ...], text: str) -> tuple[frozenset[str], str]:
    """The names of all expressions found, longest meanings first, and the text without them."""
    names: set[str] = set()
    for expression, name in table:
        text, count = expression.subn(" ", text)
        if count:
            names.add(name)
    return frozenset(names), text


def _said_as(often: frozenset[str]) -> frozenset[str]:
    """Numbers that a frequency is spelled with ("every 12 hours", "3 times a day") are no amounts of their own."""
    numbers = {
        "2/d": {"12h", "2time", "2", "2x"}, "3/d": {"8h", "3time", "3", "3x"}, "4/d": {"6h", "4time", "4"}, "1/2d": {"48h", "2d", "2"},
        "1/2wk": {"2wk", "14d", "2"}, "1/3wk": {"3wk", "21d", "3"}, "1/4wk": {"4wk", "28d", "4"}, "1/wk": {"7d", "7"}, "1/d": {"24h"}, "2/wk": {"2x", "2", "2time"},
    }  # fmt: skip
    return frozenset(number for name in often for number in numbers.get(name, ()))


def _bindings(text: str) -> frozenset[str]:
    """(group, nearest amount) pairs of a text with at least two groups and two amounts; else nothing."""
    plain = normal(_one_spelling(text))
    groups = [(m.start(), _POPULATIONS[m.group()]) for m in _POPULATION.finditer(plain)]
    groups += [(m.start(), m.group()) for m in _SEVERITY.finditer(plain)]
    amounts = [(start, name) for start, _, name in _quantity_spans(plain) if re.search(r"[a-z%]", name)]
    if len({g for _, g in groups}) < 2 or len({a for _, a in amounts}) < 2:
        return frozenset()
    return frozenset(f"{min(amounts, key=lambda a: abs(a[0] - at))[1]}@{group}" for at, group in groups)


@lru_cache(maxsize=4096)
def quantities(text: str) -> frozenset[str]:
    """Every number of the text with its unit in one spelling: "12.5 milligrams", "12.50 mg" and "12,500 µg" are "12.5mg"."""
    amounts: set[str] = set()
    for _, _, name in _quantity_spans(_one_spelling(text)):
        amounts.update(name.split("~"))
    amounts.update(_WORDS[m.group()] for m in _NUMBER_WORD.finditer(normal(text)))
    return frozenset(amounts)


# How units are spelled beside the labels' own way, and what the reader of quantities knows them as. Case matters where it
# stands: "5 G" is a needle, "5 g" a dose.
_SPELLED_TEXT = """
    mcg=MCG Mcg mcgs mcg. microgramme microgrammes; mg=MG Mg mgs milligramme milligrammes; g=gm gms GM gramme grammes; kg=KG Kg kgs
    mL=ml ML cc mls mLs; L=l lt; dL=dl DL; mEq=meq MEQ Meq mEqs milliequivalent milliequivalents; mmol=millimole millimoles MMOL
    µmol=umol mcmol micromole micromoles micromol; nmol=nanomole nanomoles; pmol=picomole picomoles; mIU=miu; units=U u Units UNITS IU iu I.U. USP
    mCi=mci millicurie millicuries; MBq=mbq megabecquerel megabecquerels; hours=hrs Hrs Hours; min=mins; mmHg=mm&Hg; m2=m^2 m²
    tablets=tabs tab Tablets; capsules=caps cap; drops=gtt gtts; puffs=actuations actuation; mg/mL=mg/ml
"""
_SPELLED = {
    spelled.replace("&", " "): unit
    for entry in re.split(r"[;\n]", _SPELLED_TEXT)
    if "=" in entry
    for unit, words in [entry.strip().split("=", 1)]
    for spelled in words.split()
}
_OTHER_UNIT = re.compile(
    rf"(?<=[\d/ -])(?:{'|'.join(re.escape(word) for word in sorted(_SPELLED, key=len, reverse=True))})(?![A-Za-z0-9^])"
)
_NUMBER_AND_UNIT = re.compile(
    r"(?<![\w.^])[\d.,]*\d[  -]?[A-Za-zµ][A-Za-zµ.²]*(?: Hg)?(?:\^2)?(?:\s?/\s?[\w.]+(?:\^2)?){0,3}"
)
_POWER = re.compile(rf"(?:(?P<number>{_NUMBER})\s?[x×·*]\s?)?(?<![\d.,])10\s?\^\s?(?P<exponent>[-−–]?\d{{1,2}})")
_RARE_UNITS = (
    "GBq|kBq|Bq|µCi|uCi|mcCi|Ci|µL|uL|mcL|pmol|cGy|mGy|lbs?|pounds?|ounces?|oz|ppm|inch(?:es)?|tsp|tbsp|joules?"
)
_GLUED = re.compile(
    rf"(?<![\w.^])(?P<number>{_NUMBER})(?:\s?-?(?P<rare>{_RARE_UNITS})|(?P<letters>[A-Za-zµ]{{1,12}}))(?![\w^])"
)
_ORDINALS = frozenset({"st", "nd", "rd", "th"})


# "1.73 m 2" is how a label prints m² once its small letters are gone.
_SQUARE_METRES = re.compile(r"((?:/|\bper )\s?|\d\s?)m\s?(?:²|\^\s?2|2)(?![\w^]|[.,]\d)")


@lru_cache(maxsize=16)  # a fingerprint asks twice
def _one_spelling(text: str) -> str:
    """The text with numbers and units as the expressions here know them: "1000U", "½ tablet", "10⁹/L"."""
    text = _SQUARE_METRES.sub(lambda m: f"{m[1].replace('1.73 ', '1.73')}m2", in_one_spelling(text))
    return _NUMBER_AND_UNIT.sub(lambda m: _OTHER_UNIT.sub(lambda unit: _SPELLED[unit.group()], m.group()), text)


def _quantity_spans(text: str) -> list[tuple[int, int, str]]:
    spans = [(m.start(), m.end(), _power(m)) for m in _POWER.finditer(text)]
    taken = bytearray(len(text))
    for start, end, _ in spans:
        taken[start:end] = b"\x01" * (end - start)
    known = [(m.start(), m.end(), _canonical(m)) for m in QUANTITY.finditer(text) if not taken[m.start("number")]]
    for start, end, _ in known:
        taken[start:end] = b"\x01" * (end - start)
    spans += known
    for m in _GLUED.finditer(text):
        unit = (m["rare"] or m["letters"]).casefold()
        if not taken[m.start()] and unit not in _ORDINALS:
            spans.append((m.start(), m.end(), _scaled(plain_number(m["number"]), _one_unit(unit))))
            taken[m.start() : m.end()] = b"\x01" * (m.end() - m.start())
    for m in BARE_NUMBER.finditer(text):
        if not taken[m.start("number")]:
            sign = (
                "-" if m.group("sign") and not text[max(0, m.start() - 40) : m.start()].rstrip()[-1:].isdigit() else ""
            )
            spans.append((m.start(), m.end(), _shared_unit(text, m, sign)))
    return spans


def _power(match: re.Match[str]) -> str:
    """ "5 x 10^6" is "5e6": with the exponent apart, 10^6 and 10^9 cells would be one amount."""
    exponent = re.sub("[−–]", "-", match["exponent"])
    return f"{plain_number(match['number'] or '1')}e{exponent}"


_BETWEEN_NUMBERS = re.compile(r"\s?°?\s?(?:(?:,|or|and|to|-|–|/)\s*)+")


def _shared_unit(text: str, match: re.Match[str], sign: str) -> str:
    """ "20° to 25°C", "10, 20 or 40 mg": a bare number before another takes the unit of the one that follows."""
    ahead = _BETWEEN_NUMBERS.match(text, match.end())
    follower = QUANTITY.match(text, ahead.end()) if ahead else None
    number = sign + plain_number(match.group("number"))
    return _scaled(number, _unit(follower.group("unit"))) if follower else number


def _canonical(match: re.Match[str]) -> str:
    unit = _unit(match.group("unit"))
    sign = "-" if match.group("sign") else ""
    low = _scaled(sign + plain_number(match.group("number")), unit)
    upper = match.group("to")
    return f"{low}~{_scaled(plain_number(upper), unit)}" if upper else low


def _unit(spelled: str) -> str:
    """One spelling of a unit; "mg/day" is "mg", because the day stands among the frequencies."""
    parts = re.split(r"\s?(?:/|\bper\b)\s?", " ".join(spelled.casefold().split()))
    names = [_one_unit(part) for part in parts]
    return "/".join([names[0], *(name for name in names[1:] if name not in {"d", "wk"})])


def _one_unit(part: str) -> str:
    if part in _SAME_UNIT:
        return _SAME_UNIT[part]
    singular = part[:-1] if len(part) > 3 and part.endswith("s") else part
    singular = "patch" if part == "patches" else singular
    return _SAME_UNIT.get(singular, singular)


def _scaled(number: str, unit: str) -> str:
    base, _, rest = unit.partition("/")
    if base in _SCALES:
        name, factor = _SCALES[base]
        return f"{plain_number(f'{float(number) * factor:.10f}')}{name}{'/' + rest if rest else ''}"
    return number + unit


def plain_number(number: str) -> str:
    """One spelling for one value: "1,000.0" and "1000" are both "1000"."""
    value = number.replace(",", "")
    value = f"0{value}" if value.startswith(".") else value
    return value.rstrip("0").rstrip(".") if "." in value else value
