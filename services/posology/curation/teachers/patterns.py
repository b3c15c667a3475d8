"""How labels state facts in one sentence, and how people ask for them. A new question type is one more entry in PATTERNS.

An expression reads a sentence whole, from its first word to its full stop, with the drug's names replaced by `DRUG`.
What stands beside the value goes into the question: `{lead}` ("In adults, ..."), `{quals}` ("... for hypertension"),
`{mods}` ("daily"). A sentence with a word that neither question nor answer holds gives no short answer.
"""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from posology.curation.domain import Section
from posology.curation.teachers.facts import (
    Fact,
    Place,
    aliases,
    answered,
    clean_heading,
    covered,
    leans_back,
    reader,
    two_headings,
)
from posology.curation.text.normal import normal
from posology.curation.text.quantities import UNITS
from posology.curation.text.repair import Passage, Statement, is_sentence, passages, plain_text

DRUG = "Xdrugx"
_N = r"\d[\d,]*(?:\.\d+)?"
_FORM = r"(?: (?:(?:delayed|extended|immediate|sustained)-release |film-coated |oral |hard gelatin )?(?:tablets?|capsules?|injection|solution|cream|ointment|gel|suspension|spray|patch|powder|lozenges?|for injection|oral solution|oral suspension|syrup))?"
_D = DRUG + _FORM
_LEAD = r"(?:(?P<lead>(?:In|For|Among|After|Following|During|When|At) [^,.;:]{3,100}?),? )?"
_ABOUT = r"(?:approximately |about |around |roughly |up to )?"
_AMOUNT = rf"{_ABOUT}{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?(?:{UNITS})(?![A-Za-z/])"
_PEOPLE_FIRST = r"(?:[a-z-]+ ){0,3}?(?:patients?|people|women|men|children|infants|neonates|adults|adolescents)\b"
_COUNT = r"(?:one|two|three|four|\d) (?:tablets?|capsules?|caplets?|inhalations?|sprays?|drops?|vials?|patch(?:es)?)\b"
_DOSED = rf"(?:(?:an?|one|two) )?(?:{_AMOUNT}|{_COUNT})"
_TIME = rf"{_ABOUT}{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?(?:hours?|days?|minutes?|weeks?)\b[^.;:]{{0,60}}?"
_SHARE = rf"(?:approximately |about |around |roughly |greater than |more than |less than |>|≥|<)?{_N}(?:\s?(?:-|–|to)\s?{_N})?\s?(?:%|percent)"
_QUALS = r"(?P<quals>(?: (?:for|in|as|when|to|after|following|with|at|given|among) [^.;:]{2,110}?)?)"
_MODS = "adult|pediatric|oral|daily|intravenous|maintenance|total|single|subcutaneous|intramuscular|weekly"
_REST = r"(?P<answer>[^:;]{3,420}?)"
# Words that may stand beside a value without being asked for: they carry no condition.
_EMPTY_WORDS = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "is",
        "are",
        "was",
        "were",
        "be",
        "should",
        "must",
        "may",
        "can",
        "to",
        "and",
        "that",
        "it",
        "by",
        "for",
        "in",
        "on",
        "has",
        "have",
        "do",
        "not",
        "each",
        "every",
        "one",
        "recommended",
        "usual",
        "dose",
        "dosage",
        "label",
        "approximately",
        "about",
        "around",
        "roughly",
        "mean",
        "average",
    ]
)


@dataclass(frozen=True)
class Pattern:
    """One question type: the expression that finds the fact, and the ways to ask for it."""

    name: str
    expressions: tuple[re.Pattern[str], ...]
    questions: tuple[str, ...]
    codes: frozenset[str] = frozenset()  # sections with authority over it; empty = all
    closed: tuple[str, ...] = ()  # ways to ask without the text, where the label may hold several such facts
    beside: frozenset[str] = field(default=frozenset())  # more words that carry no condition here
    refuse: str = ""  # sentences with this are about something else
    sole: str = ""  # when another statement of the label's sections has this, one value is not the whole answer
    alone: bool = False  # such a statement counts unless it adds nothing, not even in other words
    dose: bool = False  # the heading above a dose is a slot of it

    @property
    def strict(self) -> bool:
        """Whether a value without any condition is asked only when it is the section's only one."""
        return self.dose or self.name in {"half-life", "bioavailability", "protein-binding", "peak-time"}


def _pattern(
    name: str,
    expressions: tuple[str, ...],
    *questions: str,
    codes: str = "",
    closed: str = "",
    beside: str = "",
    refuse: str = "",
    sole: str = "",
    alone: bool = False,
    dose: bool = False,
) -> Pattern:
    compiled = tuple(re.compile(e) for e in expressions)
    words = frozenset(beside.split())
    return Pattern(
        name,
        compiled,
        questions,
        frozenset(codes.split()),
        (closed,) if closed else (),
        words,
        refuse,
        sole,
        alone,
        dose,
    )


_DOSES = rf"{_N}\s?(?:mg|mcg|g|mL|units?|IU|tablets?|capsules?|sprays?|drops?|vials?|puffs?|inhalations?|patch(?:es)?)(?![A-Za-z])"
# What a section says beside storage, of packages and looks: no answer leaves anything else out.
PACKAGE = (
    r"\b(?:supplied|available|packaged|NDC|carton|bottles? of|debossed|engraved|imprinted|embossed|colou?red|shaped|contains?|"
    r"manufactured|each (?:vial|tablet|kit|package))\b"
)
KEEPING = (
    r"°|º|\b(?:stor(?:e|ed|age|ing)|protect|fr(?:ee|oz)|refrigerat|discard|dispos|keep|kept|excursion|moisture|light|temperature|"
    r"within|unopened|opened|expir|shake|recap|clos|days|hours|months|handl|room|dispens|until|heat|expos|desiccant|use|original|upright)"
)
_KINETICS = "43682-4 34090-1 43681-6"
_OTHER_THING = r"\bmetabolites?\b|enantiomer|isomer|\brats?\b|\bdogs?\b|\bmice\b|\bmonkeys?\b|\brabbits?\b|respectively|\beach\b.*\band\b"

PATTERNS = (
    _pattern(
        "indication",
        (rf"^(?:In (?P<group>adults|children|adolescents|women|men),? )?{_D} (?:is|are) indicated (?:for use in |for use as |for |in |as |to ){_REST}\.$",),
        "What is {drug} indicated for{group}?",
        "What is {drug} used for{group}, according to its label?",
        "Which use of {drug} has been approved{group}?",
        codes="34067-9",
        beside="indicated use",
        alone=True,
        refuse=r"\bnot indicated\b",
    ),
    _pattern(
        "contraindication",
        (rf"^(?:Treatment with |The use of |Use of )?{_D} (?:is|are) contraindicated (?:in|for|with|during) {_REST}\.$",),
        "For whom is {drug} contraindicated?",
        "In whom is {drug} contraindicated?",
        "Who must not be given {drug}?",
        codes="34070-3",
        beside="contraindicated treatment use with during",
        alone=True,
    ),
    _pattern(
        "starting-dose",
        (
            rf"^{_LEAD}[Tt]he (?:recommended |usual )?(?:starting|initial) (?P<mods>(?:(?:{_MODS}) ){{0,3}})(?:dose|dosage)(?: (?:of|for) {_D})?{_QUALS} (?:is|should be) (?P<answer>{_DOSED}.{{0,260}}?)\.$",
            rf"^{_LEAD}[Tt]he (?:recommended |usual )(?P<mods>(?:(?:{_MODS}) ){{0,3}})(?:starting|initial) (?:dose|dosage)(?: (?:of|for) {_D})?{_QUALS} (?:is|should be) (?P<answer>{_DOSED}.{{0,260}}?)\.$",
        ),
        "What is the starting {mods}dose of {drug}{quals}{lead}?",
        "At which {mods}dose is {drug} started{quals}{lead}?",
        "With which {mods}dose of {drug} does treatment begin{quals}{lead}?",
        codes="34068-7",
        beside="starting initial",
        dose=True,
        sole=_DOSES,
    ),
    _pattern(
        "recommended-dose",
        (
            rf"^{_LEAD}[Tt]he (?:recommended|usual) (?P<mods>(?:(?:{_MODS}) ){{0,3}})(?:dose|dosage)(?: (?:of|for) {_D})?{_QUALS} (?:is|should be) (?P<answer>{_DOSED}.{{0,260}}?)\.$",
        ),
        "What is the recommended {mods}dose of {drug}{quals}{lead}?",
        "How much {drug} is recommended{modsafter}{quals}{lead}?",
        "Which {mods}dose of {drug} does the label recommend{quals}{lead}?",
        codes="34068-7",
        dose=True,
        sole=_DOSES,
    ),
    _pattern(
        "maximum-dose",
        (
            rf"^{_LEAD}[Tt]he maximum (?:recommended )?(?P<mods>(?:(?:{_MODS}) ){{0,3}})(?:dose|dosage)(?: (?:of|for) {_D})?{_QUALS} (?:is|should not exceed) (?P<answer>{_AMOUNT}.{{0,200}}?)\.$",
            rf"^{_LEAD}[Tt]he maximum (?P<mods>(?:(?:{_MODS}) ){{0,3}})recommended (?:dose|dosage)(?: (?:of|for) {_D})?{_QUALS} is (?P<answer>{_AMOUNT}.{{0,200}}?)\.$",
            rf"^{_LEAD}[Tt]he (?P<mods>(?:(?:{_MODS}) ){{1,3}})(?:dose|dosage)(?: of {_D})?{_QUALS} (?:should|must) not exceed (?P<answer>{_AMOUNT}.{{0,160}}?)\.$",
        ),
        "What is the maximum {mods}dose of {drug}{quals}{lead}?",
        "Which {mods}dose of {drug} must not be exceeded{quals}{lead}?",
        "How much {drug} may be taken at most{modsafter}{quals}{lead}?",
        codes="34068-7",
        beside="maximum exceed recommended",
        dose=True,
        sole=r"\b(?:[Mm]aximum|exceed)\b(?:[^.]|\.(?=\d)){0,160}\d\s?(?:mg|mcg|g|mL|units?|IU)\b",
    ),
    _pattern(
        "half-life",
        (
            rf"^{_LEAD}[Tt]he (?P<halfmods>(?:(?:mean|median|average|apparent|terminal|plasma|elimination|effective|serum|estimated|geometric|biological) ){{0,4}})half-life(?: \([^)]{{1,14}}\))? of {_D}{_QUALS} (?:is|was|ranges from|averages) (?P<answer>{_TIME})\.$",
            rf"^{_LEAD}{_D} has an? (?P<halfmods>(?:(?:mean|median|average|apparent|terminal|plasma|elimination|effective|serum|estimated|geometric|biological) ){{0,4}})half-life(?: \([^)]{{1,14}}\))? of (?P<answer>{_TIME})\.$",
        ),
        "What is the {halfmods}half-life of {drug}{quals}{lead}?",
        "How long is the {halfmods}half-life of {drug}{quals}{lead}?",
        "Which {halfmods}half-life does {drug} have{quals}{lead}?",
        codes=_KINETICS,
        beside="half life mean average ranges averages",
        sole=r"\bhalf-li(?:fe|ves)\b|\bt ?1/2\b|\bt½",
        refuse=_OTHER_THING,
    ),
    _pattern(
        "bioavailability",
        (rf"^{_LEAD}[Tt]he (?P<mods>(?:(?:mean|absolute|oral|systemic|average|estimated|relative|median) ){{0,3}})bioavailability of {_D}{_QUALS} (?:is|was) (?P<answer>{_SHARE}(?: \([^)]{{1,40}}\))?)\.$",),
        "What is the {mods}bioavailability of {drug}{quals}{lead}?",
        "How high is the {mods}bioavailability of {drug}{quals}{lead}?",
        "Which {mods}bioavailability does {drug} have{quals}{lead}?",
        codes=_KINETICS,
        beside="bioavailability",
        sole=r"\bbioavailab[^.]*\d\s?%|\d\s?%[^.]*\bbioavailab|\babsorbed\b[^.]*\d\s?%|\d\s?%[^.]*\babsorbed\b",
        refuse=_OTHER_THING,
    ),
    _pattern(
        "protein-binding",
        (
            rf"^{_LEAD}{_D} is (?:highly |extensively |strongly )?\(?(?P<answer>{_SHARE})\)? bound to (?:human )?(?P<fluid>plasma|serum) proteins?\.$",
            rf"^{_LEAD}[Pp]lasma protein binding of {_D} is (?P<answer>{_SHARE})\.$",
        ),
        "How strongly is {drug} bound to {fluid} proteins{lead}?",
        "Which share of {drug} is bound to {fluid} proteins{lead}?",
        "How much of {drug} in the blood is bound to proteins{lead}?",
        codes=_KINETICS,
        beside="bound human plasma serum protein proteins binding highly extensively strongly",
        sole=r"\bb(?:ound|inding)\b[^.]*\d\s?%|\d\s?%[^.]*\bb(?:ound|inding)\b|\bprotein binding\b",
        refuse=_OTHER_THING,
    ),
    _pattern(
        "peak-time",
        (
            rf"^{_LEAD}(?:The )?[Pp]eak (?:plasma |serum |blood )?(?:concentrations?|levels?) of {_D} (?:are|is|were|was) (?:reached|attained|achieved|observed) (?:in |at )?(?P<answer>(?:within )?{_TIME})\.$",
            rf"^{_LEAD}[Tt]he median time to (?:reach )?(?:peak|maximum) (?:plasma |serum )?concentrations?(?: \([^)]{{1,12}}\))? of {_D} (?:is|was) (?P<answer>{_TIME})\.$",
        ),
        "When does {drug} reach its peak concentration{lead}?",
        "How long does {drug} take to its peak concentration{lead}?",
        "At what time does the level of {drug} peak{lead}?",
        codes=_KINETICS,
        beside="peak plasma serum blood concentration concentrations level levels reached attained achieved observed at median time maximum reach",
        sole=r"\b(?:[Pp]eak|[CT] ?max|[Mm]aximum)\b[^.]*\b(?:hours?|minutes?|days?)\b|\b(?:hours?|minutes?|days?)\b[^.]*\b(?:peak|[CT] ?max)\b",
        refuse=_OTHER_THING,
    ),
    _pattern(
        "metabolism",
        (rf"^{_D} is (?P<adverb>(?:primarily|mainly|extensively|predominantly|largely|partly) )?metabolized (?P<adverb2>(?:primarily|mainly|predominantly) )?(?:by|via|through)(?: the)? (?P<answer>[^.;:]{{3,140}})\.$",),
        "By what is {drug} {adverb}metabolized{adverb2}?",
        codes=_KINETICS,
        sole=r"\bmetaboli|\bCYP|\bUGT|\bcytochrome|\bhydroly|\bconjugat|\bglucuronid|\bbiotransform",
        beside="metabolized primarily mainly extensively predominantly via through",
        refuse=_OTHER_THING,
    ),
    _pattern(
        "urinary-excretion",
        (rf"^{_LEAD}(?:Approximately |About )?(?P<answer>{_SHARE}) of (?:the |an |a )?(?P<mods>(?:oral|intravenous|administered) )?dose(?: of {_D})? (?:is|was) (?:excreted|recovered|eliminated) (?P<unchanged>unchanged )?in (?:the )?urine\.$",),
        "How much of {article} {mods}dose of {drug} is excreted {unchanged}in the urine{lead}?",
        "Which share of {article} {mods}dose of {drug} is found {unchanged}in the urine{lead}?",
        codes=_KINETICS,
        sole=r"\d\s?(?:%|percent)[^.]*\b(?:urine|urinary|renal\w*|kidneys?)\b|\b(?:urine|urinary|renal\w*|kidneys?)\b[^.]*\d\s?(?:%|percent)",
        beside="excreted recovered eliminated urine administered",
        refuse=_OTHER_THING,
    ),
    _pattern(
        "drug-class",
        (rf"^{_D},? (?:is|acts as|belongs to) (?P<answer>an? [^.;:]{{3,150}}?(?:inhibitor|agonist|antagonist|blocker|modulator|activator|antibiotic|antibody|conjugate|diuretic|corticosteroid|vaccine|analgesic|antidepressant|anticoagulant|antibacterial|antifungal|antipsychotic|anticonvulsant|anesthetic|stimulant|oligonucleotide)s?)\.$",),
        "What kind of drug is {drug}?",
        "To which class of drugs does {drug} belong?",
        "What sort of medicine is {drug}?",
        codes="34089-3 43679-0 34090-1",
        sole=r"\b(?:inhibitor|agonist|antagonist|blocker|modulator|activator|antibiotic|antibody|conjugate|diuretic|steroid|corticosteroid|hormone|analog(?:ue)?|class|agent|derivative|prodrug|inhibits|blocks)s?\b",
        refuse=r"\bin vitro\b|\bcontains\b",
        beside="acts as belongs",
    ),
    _pattern(
        "target",
        (rf"^{_D} (?:is|acts as|works as) an? (?:(?:selective|potent|competitive|reversible|highly) )*(?:inhibitor|blocker|antagonist|agonist|activator|modulator) of (?:the )?(?P<answer>[^.;:]{{3,90}})\.$",),
        "What does {drug} act on?",
        "Which target does {drug} have?",
        "At which target in the body does {drug} work?",
        codes="43679-0 34090-1",
        sole=r"\b(?:inhibit|block|bind|bound|agoni|antagoni|activat|modulat|stimulat|act(?:s|ion|ivity)?\b|mechanism|target|receptor|enzyme)",
        refuse=r"\bin vitro\b|\bin vivo\b|\bwhen\b|\bactivity\b|\bwith\b|\bwhich\b|\bthat\b|\b(?:synthesis|secretion|release|production|formation|uptake|growth)\b",
        beside="acts works as selective potent competitive reversible highly inhibitor blocker antagonist agonist activator modulator",
    ),
    _pattern(
        "strength",
        (
            rf"^(?:Each|One) (?P<unit>tablet|capsule|vial|sachet|caplet|ampule|suppository|patch|spray) contains (?P<answer>{_AMOUNT}) of {DRUG}\.$",
            rf"^(?:Each|One) (?P<unit>tablet|capsule|vial|sachet|caplet|ampule|suppository|patch|spray) of {DRUG} contains (?P<answer>{_AMOUNT})\.$",
        ),
        "How much {drug} does one {unit} contain?",
        "How strong is one {unit} of {drug}?",
        "What is the strength of one {unit} of {drug}?",
        codes="43678-2 34089-3 34069-5",
        sole=r"\d\s?(?:mg|mcg|g|mL|units?|IU|%)(?![A-Za-z])",
        beside="contains tablet capsule vial sachet caplet ampule suppository patch spray",
    ),
    _pattern(
        "harm",
        (rf"^(?:Rarely, )?{_D} (?:can|may) cause (?P<answer>[^.;:]{{3,160}})\.$",),
        "What can {drug} cause?",
        "Which harm does the label of {drug} warn of?",
        "What should patients on {drug} be warned about?",
        codes="43685-7 34071-1 34066-1",
        closed="Name one harm that {drug} can cause, according to its label.",
        sole=r"\b(?:[Cc]an|[Mm]ay|[Rr]isks?|[Cc]ause[sd]?|[Oo]ccur\w*|[Rr]eported|[Ss]evere|[Ss]erious|[Ff]atal|[Aa]void|[Mm]onitor|[Dd]iscontinue|[Ww]arn\w*)\b",
        refuse=r"\bcause (?:and|or)\b|\bin vitro\b",
        beside="rarely cause",
    ),
    _pattern(
        "common-reactions",
        (
            rf"^{_LEAD}[Tt]he most (?:common|frequent) of the (?:adverse reactions|side effects) (?:to|of) {_D} (?:was|were) {_REST}\.$",
            rf"^{_LEAD}(?:[Tt]he )?[Mm]ost (?P<how>common|frequent|commonly reported|frequently reported|commonly observed|frequently observed|commonly occurring|frequently occurring) (?P<threshold>\([^)]{{2,130}}\) )?(?P<nature>adverse (?:drug )?(?:reactions?|events?)|side effects|treatment-emergent adverse (?:reactions|events))(?P<after>[^:;.]{{0,200}}?(?:\([^)]*\))?[^:;.]{{0,160}}?) (?:are|were|included?|includes|is|was)(?P<colon>:)? ?(?P<answer>[^;:]{{6,700}}?)\.?$",
            rf"^{_LEAD}(?:[Tt]he )?[Mm]ost (?P<how>common|frequent) (?P<threshold>\([^)]{{2,130}}\) )?(?P<nature>adverse (?:drug )?(?:reactions?|events?)|side effects)(?P<after> \([^)]{{2,130}}\))?: (?P<answer>[^;:]{{6,700}}?)\.$",
            rf"^(?P<answer>[A-Z][^.;:]{{3,90}}?),? (?:is|was|are|were) the most (?:common|frequent|commonly reported|frequently reported) (?:side effects?|adverse (?:reactions?|events?|effects?))(?: (?:of|to|with) {_D})?(?: and [^.;:]{{3,120}})?\.$",
        ),
        "What are the most common adverse reactions to {drug}?",
        "Which side effects of {drug} are seen most often?",
        "What do patients on {drug} complain of most often?",
        codes="34084-4 90374-0",
        beside="trials most common frequent adverse reactions side effects with",
        refuse=r"\b(?:similar|consistent|comparable|leading|led|resulting|resulted|requiring|discontinu\w*|serious|fatal|interruptions?|reductions?|withdrawals?|Grades?|death)\b|(?<!including )\blaboratory abnormalities\b|\bcommon (?:laboratory|grade)|respectively|\bas follows\b|\bpostmarketing\b|\binclude:? (?:the )?following\b",
    ),
    _pattern(
        "storage",
        (
            rf"^(?:(?:Each|Every) (?:tablet|capsule|vial|sachet) of )?{_D} (?:should|must) be stored (?P<answer>(?=[^.]*(?:\d|refrigerat|room temperature|freez))[^.;:]{{3,120}})\.$",
            rf"^Store {_D} (?P<answer>(?=[^.]*(?:\d|refrigerat|room temperature|freez))[^.;:]{{3,120}})\.$",
        ),
        "How should {drug} be stored?",
        "Under which conditions is {drug} kept?",
        "Where and how is {drug} kept?",
        codes="44425-7 34069-5",
        alone=True,
        sole=rf"(?i)^(?!.*(?:{PACKAGE}))|{KEEPING}",
        beside="store stored tablet capsule vial sachet",
    ),
    _pattern(
        "schedule",
        (rf"^{_D}(?: contains [a-z ]{{3,40}}, which)? is (?:controlled as |classified as |listed as )?(?:in |under )?(?:a )?(?:DEA )?(?P<answer>Schedule (?:III|II|IV|V))(?: controlled (?:substance|drug))?[^.;:]{{0,80}}\.$",),
        "In which schedule of controlled substances is {drug}?",
        "Under which schedule is {drug} controlled?",
        "Which controlled-substance schedule applies to {drug}?",
        codes="34085-1 42227-9 34086-9",
        beside="controlled substance drug dea schedule",
    ),
    _pattern(
        "overdose-signs",
        (
            rf"^(?:The )?(?:[Ss]igns|[Ss]ymptoms|[Mm]anifestations|[Ss]igns and symptoms) (?:of|following|associated with) (?:an? )?(?:acute )?overdos(?:e|age)(?: (?:of|with) {_D})? (?:may |can )?include[sd]?:? {_REST}\.$",
            rf"^An overdos(?:e|age) of {_D} can include {_REST}\.$",
        ),
        "What are the signs of an overdose of {drug}?",
        "What happens after an overdose of {drug}?",
        "How does an overdose of {drug} show?",
        codes="34088-5",
        sole=r"\b(?:[Ss]igns|[Ss]ymptoms|[Mm]anifest\w+|observed|occur\w*|severe|reported|overdos\w+|toxic\w*|may|can|ingest\w+)\b",
        beside="signs symptoms overdose overdosage include includes manifestations acute following",
    ),
    _pattern(
        "avoid-with",
        (
            rf"^Avoid (?:(?:the|concomitant|concurrent|simultaneous) ){{0,2}}(?:use|coadministration|co-administration|administration|taking|combination)(?: of)? {_D} (?:together )?with (?P<answer>[^.;:]{{3,160}})\.$",
            rf"^Avoid (?:(?:the|concomitant|concurrent|simultaneous) ){{0,2}}(?:use|coadministration|co-administration|administration)(?: of)? (?P<answer>[^.;:]{{3,160}}?) (?:together )?with {_D}\.$",
        ),
        "With what should {drug} not be combined?",
        "What must be avoided together with {drug}?",
        "What should a patient on {drug} stay away from?",
        codes="34073-7",
        alone=True,
        beside="avoid use with coadministration administration concomitant concurrent simultaneous taking together combination co",
    ),
    _pattern(
        "food",
        (
            rf"^{_D} (?:should|may|can|must) be (?:taken|administered|given) (?:orally )?(?P<answer>(?:with or without|with|without) (?:food|meals|a meal)|on an empty stomach|without regard to (?:food|meals))\.$",
            rf"^(?:Take|Administer) {_D} (?:orally )?(?P<answer>(?:with or without|with|without) (?:food|meals|a meal)|on an empty stomach|without regard to (?:food|meals))\.$",
        ),
        "Should {drug} be taken with food?",
        "How is {drug} taken with respect to meals?",
        "How does {drug} go with meals?",
        codes="34068-7 34076-0",
        sole=r"\b(?:foods?|meals?|stomach)\b",
        beside="taken administered given orally take administer",
    ),
)  # fmt: skip

NAMES = tuple(pattern.name for pattern in PATTERNS)
_ADJECTIVES = {"adult": " in adults", "pediatric": " in pediatric patients"}


@reader(*NAMES)
def by_pattern(place: Place) -> Iterator[Fact]:
    """Facts that one sentence states; two sentences with different values would make the question ambiguous."""
    if place.is_over_the_counter:
        return
    sentences = _readable(place)
    for pattern in PATTERNS:
        if pattern.codes and place.code and place.code not in pattern.codes:
            continue
        by_question: dict[str, dict[str, Fact]] = {}
        for fact in _matches(place, pattern, sentences):
            by_question.setdefault(fact.questions[0].casefold(), {}).setdefault(normal(fact.statement), fact)
        groups = [list(facts.values()) for facts in by_question.values()]
        yield from (
            _fullest(group) for group in groups if len(group) == 1 or _alike(group) or _same_amounts(pattern, group)
        )


def matches_kind(section: Section, sentence: str, kind: str) -> bool:
    """Whether a sentence states a fact of this kind: such a sentence may not stand beside the one that answers."""
    masked = mask(section, sentence)
    return any(p.name == kind and any(e.match(masked) for e in p.expressions) for p in PATTERNS)


def mask(section: Section, sentence: str) -> str:
    """The sentence with every name of the drug, and "Brand (drug)", replaced by one word."""
    out = _masked_names(aliases(section)).sub(DRUG, sentence)
    return _TWICE.sub(DRUG, out) if DRUG in out else out


@lru_cache(maxsize=4096)
def _masked_names(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names)) or '(?!)'})(?![\w-])", re.IGNORECASE)


_TWICE = re.compile(rf"{DRUG}(?: \({DRUG}\)| {DRUG})")


def _fullest(group: list[Fact]) -> Fact:
    return max(group, key=lambda fact: len(fact.statement)) if len(group) > 1 else group[0]


def _same_amounts(pattern: Pattern, group: list[Fact]) -> bool:
    """One dose in two wordings, as on the first page and in the text: every number of one is in the other."""
    numbers = [set(re.findall(r"\d[\d.,]*\d|\d", fact.statement)) for fact in group]
    return pattern.dose and all(numbers[0] == other for other in numbers[1:])


def _alike(group: list[Fact]) -> bool:
    """One list in two wordings: at least four fifths of the words are the same."""
    words = [set(re.findall(r"\w+", normal(fact.statement))) for fact in group]
    return all(len(words[0] & other) >= 0.8 * max(len(words[0]), len(other)) for other in words[1:])


def _readable(place: Place) -> list[tuple[Passage, Statement, str]]:
    """(passage, statement, its text with the drug's names masked) of all that can be read and stands alone."""
    kept = set(place.statements)
    return [
        (passage, statement, mask(place.section, statement.text))
        for passage in place.passages
        for statement in passage.statements
        if not statement.doubtful and statement in kept and not leans_back(statement.text)
    ]


def _matches(place: Place, pattern: Pattern, sentences: Sequence[tuple[Passage, Statement, str]]) -> Iterator[Fact]:
    several = pattern.name == "common-reactions" and _several_lists(place)
    for passage, statement, masked in sentences:
        text = statement.text
        flat = masked.replace("\n- ", " ") if pattern.name == "common-reactions" else masked
        match = next((m for e in pattern.expressions if (m := e.match(flat))), None)
        if match is None or (pattern.refuse and re.search(pattern.refuse, text)):
            continue
        heading = heading_above(place, passage, text) if pattern.dose else ""
        if pattern.name == "recommended-dose" and re.search(r"\b(?:as|if|when) needed\b", text):
            continue  # then its ceiling belongs to it
        if heading == "?" or (pattern.dose and not _doses_the_drug(place, masked, match, heading)):
            continue
        fact = _fact(place, pattern, text, match, heading)
        of_some = several and not _names_its_patients(masked)
        if fact and not of_some and not _of_one_group(pattern, passage):
            yield fact
    if pattern.name == "common-reactions" and not several:
        yield from _reactions_of_the_first_page(place, pattern)


_PATIENTS = re.compile(
    r"\b(?:patients|subjects|adults|children|women|men) (?:with|aged?)\b|\b(?:in|among|for) (?:(?:pediatric|adult|geriatric|elderly) (?:and \w+ )?patients|adults|children)\b|"
    r"\b(?:plus|combination|single agent|monotherapy)\b|\b(?:Trial|Study) [A-Z0-9]"
)


_OTHERS_BESIDE = re.compile(
    r"\b(?:[Pp]remedicat|[Cc]ombin|[Cc]o-?administ|[Cc]oncomitant|[Cc]oncurrent|[Aa]djunct|[Tt]ogether with)"
)
_WHOM = re.compile(
    r"^(?: (?:for|in) (?:the treatment of |all )?(?:adults?|patients|pediatric|children|adolescents|women|men|hypertension)\b.*)?$"
)


def _doses_the_drug(place: Place, masked: str, match: re.Match[str], above: str) -> bool:
    """Whether the dose is the drug's own: it is named, or the section speaks of no other drug that is given beside it."""
    quals = match.groupdict("").get("quals", "")
    if DRUG in quals:
        return False
    alone = bool(_WHOM.match(quals)) and bool(quals or not above)
    return DRUG in masked or (alone and not _OTHERS_BESIDE.search(place.section.text))


def _several_lists(place: Place) -> bool:
    """Whether the label speaks of commonest reactions more than once: each list then belongs to patients of its own."""
    if sum(len(_MOST_OFTEN.findall(other.section.text)) for other in _adverse(place)) > 2:
        return True  # its text and its first page say it once each
    texts = [normal(s.text) for other in _adverse(place) for s in other.statements if _MOST_OFTEN.search(s.text)]
    return any(not _adds_nothing(text, to=texts[0]) and not _adds_nothing(texts[0], to=text) for text in texts[1:])


_MOST_OFTEN = re.compile(r"\bmost (?:common|frequent|often)", re.IGNORECASE)


def _adverse(place: Place) -> Iterator[Place]:
    """The label's sections on adverse reactions."""
    yield place
    for other in place.siblings:
        if other.code in {"34084-4", "90374-0"} and other.id != place.section.id:
            yield Place(other)


def _of_one_group(pattern: Pattern, passage: Passage) -> bool:
    """Whether reactions stand under a heading that may name the patients who had them ("Gout: Most common ...")."""
    heading = passage.heading
    plain = not heading or re.search(r"reaction|trial|experience|common|adverse|event|safety", heading, re.IGNORECASE)
    return pattern.name == "common-reactions" and not plain


_ANY_PATIENTS = re.compile(
    rf"\b(?:patients|subjects|adults) (?:(?:who|that) )?(?:were |was )?(?:treated with|receiving|received|taking|on|given|exposed to) {DRUG}|\b{DRUG}-treated patients|\bin (?:the )?(?:controlled |clinical )*(?:trials|studies)\b"
)


def _names_its_patients(masked: str) -> bool:
    """Whether it says more of the patients than that they had the drug."""
    return bool(_PATIENTS.search(_ANY_PATIENTS.sub("", masked)))


def _reactions_of_the_first_page(place: Place, pattern: Pattern) -> Iterator[Fact]:
    for sentence in _highlighted_reactions(place):
        masked = mask(place.section, sentence)
        match = next((m for e in pattern.expressions if (m := e.match(masked))), None)
        if match and not re.search(pattern.refuse, sentence) and not leans_back(sentence):
            fact = _fact(place, pattern, sentence, match, "")
            if fact:
                yield fact


_NO_HEADING = re.compile(
    r"^(?:notes?|important|other|caution|warning|data|examples?|limitations? of use)$", re.IGNORECASE
)
_PLAIN_HEADING = re.compile(
    r"^(?:(?:recommended|general|usual|important|basic|adult|dose|dosage|doses|dosing|and|administration|initial|starting|maximum|schedule|information|for|of|instructions|regimen|"
    r"considerations|overview|the|treatment|oral|intravenous|subcutaneous) ?)*$",
    re.IGNORECASE,
)


def heading_above(place: Place, passage: Passage, text: str) -> str:
    """The heading above a dose when it narrows whom the dose is for; "?" when it could not be read."""
    before = list(itertools.takewhile(lambda s: s.text != text, passage.statements))
    if any(s.doubtful and not s.highlight for s in before):
        return "?"  # a heading that could not be told from its sentence may stand among them
    if "?" in passage.heading or _NO_HEADING.match(clean_heading(passage.heading.split(" > ")[-1])):
        return "?"
    parts = [clean_heading(part) for part in passage.heading.split(" > ")]
    title = clean_heading(place.section.title)
    if passage.heading and not all(parts):
        return "?"  # too long to be named, and it may narrow
    if not passage.heading or all(_PLAIN_HEADING.match(p) for p in parts):
        parts = [title]
    elif not _stands_alone(place, passage.heading):
        return "?"  # a line of the first page ("HER2 Testing: ...") is no heading of what follows it
    if any(two_headings(place, p) for p in parts):
        return "?"
    narrowing = [p for p in parts if p and not _PLAIN_HEADING.match(mask(place.section, p).replace(DRUG, "").strip())]
    return narrowing[-1] if narrowing else ""


def _stands_alone(place: Place, heading: str) -> bool:
    """Whether the heading is numbered, or has a line of its own."""
    bare = re.escape(heading.split(" > ")[-1])
    return bool(
        re.search(rf"(?:^|\n)\W*(?:\d{{1,2}}(?:\.\d{{1,2}})+\.?\s+{bare}|{bare}\s*:?\s*(?:\n|$))", place.section.text)
    )


def _is_sole(place: Place, pattern: Pattern, statement: str, narrowing: str = "") -> bool:
    """Whether nothing else in the label's sections of the kind, tables and doubtful lines included, speaks of the attribute.

    `narrowing`: the condition that the question names; only what speaks of the same condition is another answer then.
    """
    if pattern.alone:
        speaking = (text for text in _every_text(place, pattern) if re.search(pattern.sole, text))
        return all(_adds_nothing(text, to=statement) for text in speaking)
    condition = _stems(narrowing)
    for text in _every_text(place, pattern):
        if not re.search(pattern.sole, text) or _alike_text(statement, text, dose=pattern.dose):
            continue
        if pattern.dose and _is_of_another_dose(pattern, text, narrowing):
            continue
        if not narrowing or len(condition & _stems(text)) >= 0.5 * len(condition):
            return False
    return True


def _every_text(place: Place, pattern: Pattern) -> Iterator[str]:
    """Every statement and row of the label's sections of the pattern's codes."""
    codes = pattern.codes or {place.code}
    for section in (place.section, *place.siblings):
        if section.code in codes:
            for passage in passages(section):
                yield from (s.text for s in passage.statements)
                yield from (" ".join(row) for row in passage.rows)


_OF_ANOTHER_DOSE = {
    "starting-dose": r"\b[Mm]aximum\b|\bexceed\b|\bmissed?\b",
    "recommended-dose": r"\b[Mm]aximum\b|\bexceed\b|\bmissed?\b",
    "maximum-dose": r"\b(?:[Ss]tart|[Ii]nitia|[Rr]ecommended dos|[Uu]sual|missed?)\w*\b",
}
_OF_THE_IMPAIRED = re.compile(r"\b(?:renal|hepatic|kidney|liver) (?:\w+ )?(?:impairment|insufficiency|disease)\b")


def _is_of_another_dose(pattern: Pattern, text: str, narrowing: str) -> bool:
    """A maximum is no starting dose; a dose in impaired organs is asked for with them, and leaves the usual one as it is."""
    return bool(re.search(_OF_ANOTHER_DOSE[pattern.name], text) or (not narrowing and _OF_THE_IMPAIRED.search(text)))


@lru_cache(maxsize=4096)
def _stems(text: str) -> frozenset[str]:
    return frozenset(w[:6] for w in re.findall(r"[a-z][a-z0-9]{3,}", text.casefold())) - {"patien", "with", "dose"}


@lru_cache(maxsize=16384)
def _adds_nothing(text: str, *, to: str) -> bool:
    """Whether nine tenths of the words and all the numbers of a text stand in another."""
    new, known = _stems(text), _stems(to)
    numbers = [set(re.findall(r"\d[\d.,]*\d|\d", one)) for one in (text, to)]
    return len(new - known) <= 0.1 * len(new) and numbers[0] <= numbers[1]


@lru_cache(maxsize=16384)
def _alike_text(one: str, other: str, *, dose: bool = False) -> bool:
    """Whether two statements say the same: the same numbers, and most of the words of the shorter one."""
    first, second = _stems(one), _stems(other)
    numbers = [set(re.findall(r"\d[\d.,]*\d|\d", text)) for text in (one, other)]
    same = numbers[0] == numbers[1] or (numbers[1] < numbers[0] and not dose)
    return same and len(first & second) >= 0.6 * min(len(first), len(second))


def _fact(place: Place, pattern: Pattern, text: str, match: re.Match[str], above: str) -> Fact | None:
    groups = match.groupdict("")
    raw = groups["answer"].strip(" ,")
    lead = groups.get("lead", "")
    mods = groups.get("mods", "")
    quals = groups.get("quals", "")
    for word, phrase in _ADJECTIVES.items():
        if word in mods.split():
            mods, quals = mods.replace(f"{word} ", ""), f"{phrase}{quals}"
    drug = place.name
    narrowed = bool(quals or lead or above)
    if pattern.dose and not narrowed and _FOR_SOME.search(raw):
        return None  # a dose of some patients is not the dose
    if pattern.name in _OF_ONE_SUBSTANCE and place.several:
        return None
    narrowing = f"{quals} {lead}" if pattern.strict and (quals or lead) else ""
    sole = not (pattern.sole or pattern.alone) or _is_sole(place, pattern, text, narrowing)
    if not sole and not pattern.closed:
        return None
    fields = {
        "drug": drug,
        "lead": f" {lead[0].lower()}{lead[1:]}" if lead else "",
        "mods": mods,
        "modsafter": {"daily ": " per day", "": ""}.get(mods, "?"),
        "quals": quals,
        "group": f" in {groups['group']}" if groups.get("group") else "",
        "halfmods": groups.get("halfmods", ""),
        "unchanged": groups.get("unchanged", ""),
        "unit": groups.get("unit", ""),
        "fluid": groups.get("fluid") or "plasma",
        "article": "an" if mods.startswith(("oral", "intra", "admin")) else "a",
        "adverb": groups.get("adverb", ""),
        "adverb2": f" {groups['adverb2'].strip()}" if groups.get("adverb2") else "",
    }
    ways = pattern.questions
    if pattern.name == "contraindication" and not _PEOPLE.match(raw):
        ways = _WITHOUT_PEOPLE
    asks = [q.format(**fields) for q in ways if not ("{modsafter}" in q and fields["modsafter"] == "?")]
    if groups.get("nature"):
        after = re.sub(r"^\([A-Z]{2,6}s?\),?\s*", "", groups["after"].strip(" ,"))
        asks = _reactions(fields, groups["how"], groups["threshold"] + groups["nature"], after)
        if not asks:
            return None
    asks = [" ".join(q.replace(DRUG, drug).split()).replace(" ?", "?") for q in asks]
    if any(q.count("(") != q.count(")") for q in asks) or not asks:
        return None
    if above:  # what the question says already need not be said again
        asks = [
            q if covered(above, f"{q} recommended dosage dose modification use") else _under(q, above) for q in asks
        ]
    open_asks = tuple(q for q in asks if sole and _complete(match, q, pattern, raw))
    if _MORE_THAN_ASKED.get(pattern.name, _NEVER).search(raw) or DRUG in raw:
        open_asks = ()
    short = raw.replace(DRUG, drug) if open_asks else ""
    closed = tuple(q.format(**fields) for q in pattern.closed) or tuple(asks)
    return Fact(
        pattern.name, tuple(asks), answered(place, text), evidence=text, short=short, closed=closed, open=open_asks
    )


def _under(question: str, heading: str) -> str:
    return f"{question.removesuffix('?')}, under the heading “{heading}”?"


_FOR_SOME = re.compile(
    r"\b(?:for|in) (?:(?:adult|elderly|older|geriatric|pediatric|debilitated|most|some|these) )?"
    r"(?:patients|adults|children|infants|adolescents|elderly|women|men|subjects)\b"
)
_NEVER = re.compile(r"(?!)")
_PEOPLE = re.compile(
    r"(?:[a-z-]+ ){0,3}?(?:patients?|people|persons?|individuals?|anyone|those|women|men|children|infants|neonates|adults|adolescents|mothers)\b"
)
_WITHOUT_PEOPLE = (
    "In which conditions is {drug} contraindicated?",
    "In what circumstances must {drug} not be given?",
    "What makes {drug} contraindicated?",
)
# A value of one substance in one form: a label on two of them says whose it is, or nobody knows.
_OF_ONE_SUBSTANCE = frozenset(
    {"half-life", "bioavailability", "protein-binding", "peak-time", "metabolism", "urinary-excretion", "drug-class", "target", "strength", "food", "schedule", "starting-dose", "recommended-dose", "maximum-dose"}
)  # fmt: skip
# What a value of the kind does not hold: another clause, or the thing that is stored.
_MORE_THAN_ASKED = {
    "metabolism": re.compile(r" and (?:is|are|has|does|less|more|about|approximately|then|the|\d)"),
    "contraindication": re.compile(r"\b(?:it|its|the (?:drug|product)|this (?:drug|product)|these)\b"),
    "indication": re.compile(rf"^{_PEOPLE_FIRST}"),
    "storage": re.compile(
        r"^(?:the )?(?:vials?|tablets?|capsules?|kits?|pens?|syringes?|bottles?|cartons?|unopened|intact|solution|product)\b"
    ),
}


def _reactions(fields: dict[str, str], how: str, nature: str, after: str) -> list[str]:
    """The question keeps the threshold and the patients that the sentence names, in its own words."""
    bare = re.sub(r"\([^)]*\)", "", after)
    if (
        re.match(r"[a-z]+ly\b|\band\b", bare)
        or "," in bare
        or re.search(r"\b(?:was|were|are|is|that|which)\b(?! (?:occurred|occurring|treated|receiv))", bare)
        or len(after.split()) > 32
    ):
        return []
    if DRUG in after or DRUG in fields["lead"]:
        verb = "are" if nature.endswith("s") else "was"
        return [
            f"What {verb} the most {how} {nature} {after}{fields['lead']}, according to the label?".replace(" ,", ",")
        ]
    if after.startswith(("of ", "to ", "with ")):
        return []
    verb = "are" if nature.endswith("s") else "was"
    return [f"What {verb} the most {how} {nature} with {fields['drug']} {after}{fields['lead']}?".replace(" ,", ",")]


_ENDS = re.compile(r"\(\s*(?:\d{1,2}(?:\.\d{1,2})?[\s,;]*)+\)|\bTo report SUSPECTED\b|\bSUSPECTED ADVERSE\b")
_MOST = re.compile(
    r"(?:^|(?<=[.\])•] )|(?<=\) )|(?<=•))((?:The m|M)ost (?:common|frequent)(?:ly \w+)? .{30,900})$", re.DOTALL
)


def _highlighted_reactions(place: Place) -> Iterator[str]:
    """The first page's sentence on the commonest reactions; a bare reference ends it where no full stop does."""
    for line in place.section.text.split("\n"):
        for chunk in _ENDS.split(line)[:-1]:
            match = _MOST.search(plain_text(chunk).strip())
            if match:
                sentence = match.group(1).split(". ")[0].strip(" .") + "."
                spoken = re.sub(r"(?<=[a-z)]): ", " are ", sentence, count=1)
                if is_sentence(spoken) and "•" not in sentence:
                    yield sentence


def _complete(match: re.Match[str], question: str, pattern: Pattern, answer: str) -> bool:
    """Whether every word of the sentence beside the value stands in the question, or carries no condition."""
    start, end = match.span("answer")
    outside = f"{match.string[:start]} {match.string[end:]}".casefold().replace(DRUG.casefold(), " ")
    rest = set(re.findall(r"[\w%]+", outside)) - _EMPTY_WORDS - pattern.beside - set(re.findall(r"\w+", _FORM))
    short_enough = 1 <= len(answer.split()) <= 24 and "\n" not in answer
    return short_enough and all(_stands(word, question.casefold()) for word in rest)


_SAME = {"daily": "per day", "adult": "adults", "weekly": "per week"}


def _stands(word: str, question: str) -> bool:
    return bool(re.search(rf"\b{re.escape(word)}\b", question)) or _SAME.get(word, "\0") in question
