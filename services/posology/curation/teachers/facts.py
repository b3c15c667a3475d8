"""Typed facts of a section, and how they are named; questions are made from facts, never from bare text.

A reader takes a section in its place among the label's others and yields facts. Each reader names the section codes
that have authority over what it reads: "Child-Pugh class A" in a pharmacokinetics table says nothing on children.
"""
# ruff: noqa: E501  (tables and expressions read better unbroken)

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from posology.curation import codes
from posology.curation.domain import Section
from posology.curation.text.fluency import flaw, small_words
from posology.curation.text.normal import split_sentences
from posology.curation.text.repair import SUBHEADINGS, Passage, Statement, is_fragment, joined, passages

_NO_NAME = re.compile(r"^[\W\d_]*$|^[0-9a-f]{8}-[0-9a-f-]{20,}$|\.xml$|^\s*$")
_PLAIN_FIRST_WORDS = frozenset(
    [
        "children",
        "childrens",
        "adult",
        "pain",
        "relief",
        "cold",
        "cough",
        "allergy",
        "daily",
        "hand",
        "sport",
        "super",
        "extra",
        "ultra",
        "maximum",
        "severe",
        "instant",
        "sodium",
        "potassium",
        "calcium",
        "magnesium",
        "vitamin",
        "water",
        "oral",
        "injection",
        "tablets",
        "cream",
        "solution",
        "health",
        "good",
        "leader",
        "equate",
        "kids",
        "baby",
        "natural",
        "nasal",
        "first",
        "triple",
        "dual",
        "advanced",
        "original",
        "medicated",
        "premium",
    ]
)


@dataclass(frozen=True)
class Fact:
    """Something that a label states: what is asked, the label's words for it, and the short answer inside them.

    `statement` is whole: condition, population, route, frequency and negation stand in it or in the question.
    """

    kind: str
    questions: tuple[str, ...]
    statement: str
    evidence: str = ""  # "" when it is the statement itself
    short: str = ""  # the value alone; "" when the statement cannot be cut without losing a slot
    closed: tuple[str, ...] = ()  # ways to ask without the text, when they differ
    open: tuple[str, ...] = ()  # ways to ask with the text, which keep every slot beside `short`

    @property
    def proof(self) -> str:
        return self.evidence or self.statement


_DOSE_CHANGE = re.compile(
    r"\b(?:[Rr]educe[ds]?|[Rr]educing|[Ll]ower(?:ed|ing)?|[Aa]djust(?:ed|ing)?|[Dd]ecrease[ds]?|[Ii]ncrease[ds]?|[Mm]odif(?:y|ied))\b(?: (?!(?:and|or|in|at|was|were|is|are|with|than|after|by|exposure|risk)\b)[\w()/-]+){0,6}? (?:dos(?:es?|ages?|ing)|(?:dosing |dose )(?:interval|frequency)|frequency of (?:dosing|administration))\b"
    r"|\b(?:[Dd]os(?:e|age|ing)) (?:reductions?|adjustments?|modifications?) (?:(?:of|for|to|in) [\w -]{2,60}? )?(?:is|are|may be|should be|must be) (?:recommended|required|necessary|needed|considered|made)\b"
    r"|\b(?:[Rr]eductions?|[Aa]djustments?|[Mm]odifications?) (?:of|in|to) (?:the )?(?:\w+ ){0,3}dos(?:e|age|ing)\b"
    r"|\b[Dd]os(?:es?|ages?|ing) (?:of [\w ()-]{2,60} )?(?:(?:should|must|may|can)(?: need to)? be|is|are) (?:reduced|increased|lower|lowered|decreased|adjusted|modified)\b"
    r"|\b(?:[Ss]tart|[Ii]nitiate|[Uu]se|[Gg]ive|[Aa]dminister|recommended|required)\b[^.]{0,80}\b(?:reduced|lower(?: than normal)?) (?:\w+ ){0,2}dos(?:e|age|es)\b"
)
_FIGURE = re.compile(
    r"\d[\d.,]* ?(?:mg|mcg|g|mL|percent|units?|IU|tablets?|capsules?|times|hours|days)\b(?!/min|/1\.73| ?per min)|%|\b(?:half|one-(?:half|third|quarter)|two-thirds|once|twice|every|double[ds]?)\b"
)


def lacks_a_figure(text: str) -> bool:
    """Whether a change of the dose is ordered without saying what the dose becomes: the figure stands elsewhere."""
    return any(
        _DOSE_CHANGE.search(sentence)
        and not re.search(r"\b(?:[Nn]o|not|without|further|unlikely)\b", sentence)
        and not _FIGURE.search(sentence)
        for sentence in split_sentences(re.sub(r"\s*\([^)]*\)", "", text.replace("\n", " ")))
    )


@dataclass(frozen=True)
class Place:
    """A section among the other sections of its label."""

    section: Section
    siblings: tuple[Section, ...] = ()

    @property
    def code(self) -> str:
        return self.section.code

    @property
    def passages(self) -> tuple[Passage, ...]:
        return passages(self.section)

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Every statement of the section; a highlight that a full statement covers is left out."""
        return statements_of(self.section)

    @cached_property
    def is_over_the_counter(self) -> bool:
        """Whether the label is a Drug Facts label."""
        drug_facts = {"55105-1", "55106-9", "50570-1", "50566-9", "50567-7"}
        return any(s.code in drug_facts for s in (self.section, *self.siblings))

    def kin(self) -> "Iterator[Place]":
        """This section and the others of its code."""
        yield self
        mine = (self.section, *self.siblings)
        for other in self.siblings:
            if other.code == self.code and other.id != self.section.id:
                yield Place(other, tuple(s for s in mine if s.id != other.id))

    def alone(self) -> bool:
        """Whether no other section of the label has this code."""
        return all(s.code != self.code or s.id == self.section.id for s in self.siblings)

    def has(self, *wanted: str) -> bool:
        """Whether another section of the label has one of these codes."""
        return any(s.code in wanted for s in self.siblings)

    def whole(self, words: int, *, fragments: bool = False) -> str:
        """All that the section says, when all of it could be read and it has at most `words` words; else "".

        Headings inside stand on lines of their own, since they say whom or what the text below them is about. A first
        page beside the full text repeats it; where it seems to say more, one of the two was not read. With `fragments`,
        an item of a list that a flat text set as a sentence of its own ("Sick sinus syndrome.") is read as well.
        """
        kept = self.statements
        if not kept or any(p.rows for p in self.passages):
            return ""
        if any(s.doubtful and not (fragments and is_fragment(s.text)) for s in kept):
            return ""
        if any(_LABELLED.match(s.text) for s in kept[1:]):
            return ""
        if any(s.highlight for s in kept) and not all(s.highlight for s in kept):
            return ""
        left, blocks = list(kept), []
        for p in self.passages:
            texts = []
            for s in p.statements:
                if s in left:  # each once: what says it again was left out of the section's statements
                    left.remove(s)
                    texts.append(s.text)
            if texts:
                blocks.append((p.heading, texts))
        if any("?" in heading or two_headings(self, heading.split(" > ")[-1]) for heading, _ in blocks):
            return ""
        several = len(blocks) > 1
        parts = [(self._own_heading(head, joined(texts), several=several), joined(texts)) for head, texts in blocks]
        if several and any(heading for heading, _ in parts):  # one heading is shown, so all are
            parts = [(self._shown_heading(head), joined(texts)) for head, texts in blocks]
        if any(heading and not _SOUND_HEADING.match(heading) for heading, _ in parts):
            return ""
        text = "\n".join(f"{heading}:\n{body}" if heading else body for heading, body in parts)
        return text if len(text.split()) <= words else ""

    def _own_heading(self, heading: str, text: str, *, several: bool) -> str:
        """A heading inside the section; "" for one that says nothing which section and text do not say."""
        last = [part for part in heading.split(" > ") if part][-1:]
        bare = clean_heading(last[0]) or last[0] if last else ""
        told = not self._shown_heading(heading) or _content(bare) <= _content(text)
        told = told or (not several and not _NARROWS.search(bare))
        return "" if told else bare

    def _shown_heading(self, heading: str) -> str:
        """A heading inside the section in its own words; "" for the section's title and for one of form."""
        last = [part for part in heading.split(" > ") if part][-1:]
        bare = clean_heading(last[0]) or last[0] if last else ""
        titles = {clean_heading(self.section.title).casefold(), codes.title_of(self.code).casefold()}
        return "" if bare.casefold() in titles | _OF_FORM else bare

    def headed(self) -> str:
        """ " under the heading “Renal Impairment”" when the section is one of several with its code; else ""."""
        title = clean_heading(self.section.title)
        known = codes.title_of(self.code).casefold()
        return "" if self.alone() or not title or title.casefold() == known else f" under the heading “{title}”"

    @cached_property
    def several(self) -> bool:
        """Whether the label is of several substances or forms, which its values may tell apart."""
        if _SEVERAL_SUBSTANCES.search(self.section.drug):
            return True
        plain = [re.escape(brand) for brand in self.section.brands if not re.search(_RELEASE, brand)]
        return bool(plain) and bool(re.search(rf"\b(?i:{'|'.join(plain)}) {_RELEASE}", self.section.text))

    @cached_property
    def name(self) -> str:
        """The drug as a question names it."""
        drug, brand = self.section.drug, next(iter(self.section.brands), "")
        brand = re.sub(r"(?<=[A-Z]{3})(?=[A-Z][a-z]{3})", " ", brand)
        if self.is_over_the_counter and brand and brand.casefold() != drug:
            return f"{brand} ({drug})"
        small = any(drug in s.text for s in self.siblings)
        return drug if small else spelled(drug, self.section.text)

    @cached_property
    def small(self) -> frozenset[str]:
        """Words that the label writes small somewhere."""
        return _small_words_of(frozenset((self.section, *self.siblings)))

    def broken(self, sentence: str) -> bool:
        """Whether a sentence alone is not fit to be shown."""
        return bool(flaw(sentence, small=self.small, names=aliases(self.section)))

    def flaw(self, fact: Fact) -> str:
        """What is wrong with the form of a fact's statement; lists of fragments are right where they are asked for."""
        if self.is_over_the_counter or fact.kind in _FRAGMENTS:
            return ""
        stated = re.sub(r"^The label of .{2,80}? states:\s+", "", fact.statement)
        names = aliases(self.section)
        if fact.kind in {"renal", "hepatic", "interaction", "dosing"} and lacks_a_figure(stated):
            return "a dose that is changed, and not to what"
        return flaw(stated, small=self.small, names=names, fragments=fact.kind in _WITH_FRAGMENTS)

    @property
    def nameless(self) -> bool:
        return bool(_NO_NAME.search(self.section.drug))


def two_headings(place: Place, heading: str) -> bool:
    """Whether a heading and the one below it became one: "Effect of Other Drugs on VELTORAN UGT1A1 Inhibitors"."""
    named = any_name(aliases(place.section)).pattern
    effects = rf"^(?:The )?Effects? of .{{2,60}}? on (?:Other Drugs|(?:{named})) [A-Z]"
    return bool(re.search(effects, heading) or (len(heading.split()) > 3 and _GROUP_BEHIND.search(heading)))


_GROUP_BEHIND = re.compile(
    r"(?<! in)(?<! for)(?<! and)(?<! or)(?<! of)(?<! with)(?<! to) (?:Adults?|Pediatrics?|Children|Adolescents|Patients|Geriatrics?)$"
)
# Two words or more, or one that labels are known to put above text: else the beginning of a sentence was taken for one.
_SOUND_HEADING = re.compile(rf"(?:\S+ \S.*|(?:{'|'.join(map(re.escape, SUBHEADINGS))}))$")


# A heading over a whole section is left out, unless it narrows whom or what the text is about.
_NARROWS = re.compile(
    r"\b(?:adults?|pediatric|child\w*|adolescents?|geriatric|elderly|patients|women|men|females?|males?|renal|hepatic|impairment|category|trials?|study|studies|tablets?|capsules?|injection|solution|disease|syndrome|cancer|carcinoma|lymphoma|leukemia)\b",
    re.IGNORECASE,
)
# Headings that part a section by form, not by whom or what the text is about.
_OF_FORM = frozenset(
    {"risk summary", "data", "animal data", "human data", "clinical considerations", "teratogenic effects", "nonteratogenic effects", "general", "storage", "storage and handling", "mechanism of action"}
)  # fmt: skip


def without_headings(text: str) -> str:
    """The text of `Place.whole` without its lines of headings: what stands in the section line by line."""
    lines = text.split("\n")
    after = [*lines[1:], ""]
    return "\n".join(
        line for line, below in zip(lines, after, strict=True) if not line.endswith(":") or below.startswith("- ")
    )


@lru_cache(maxsize=8)
def _small_words_of(label: frozenset[Section]) -> frozenset[str]:
    return frozenset[str]().union(*(small_words(section.text) for section in label))


_FRAGMENTS = frozenset({"dosage-forms"})
_WITH_FRAGMENTS = frozenset({"contraindication"})
_SEVERAL_SUBSTANCES = re.compile(r",|;|/| and | with |\+")
_RELEASE = r"(?:XR|ER|SR|CR|LA|XL|IR|DR|ODT|HFA|Sprinkle|Oral Suspension|Oral Solution)\b"
_SHORT = 400  # words; a longer section holds nearly every word that its first page may use


@lru_cache(maxsize=4096)
def statements_of(section: Section) -> tuple[Statement, ...]:
    """What `Place.statements` returns; kept by section, since every other section of its code asks for it too."""
    every = [s for p in passages(section) for s in p.statements]
    full = [s for s in every if not s.highlight]
    known = [_content(s.text) for s in full]
    if sum(s.words for s in full) <= _SHORT:
        known = [
            frozenset[str]().union(*known)
        ]  # a short text may say in two sentences what its first page says in one
    kept = [s for s in every if not (s.highlight and any(_covered(s.text, words) for words in known))]
    once: list[tuple[Statement, _Gist]] = []
    for s in dict.fromkeys(kept):  # a first page without its references repeats the text in nearly the same words
        gist = _gist(s.text)
        if leans_back(s.text) or not any(_repeats(s.text, gist, other) for _, other in once):
            once.append((s, gist))
    return _without_first_page([s for s, _ in once])


def _without_first_page(statements: list[Statement]) -> tuple[Statement, ...]:
    """Statements without the first page's copy behind or before them, when that says nothing new.

    Only the last sentence of each of its lines is marked, so what repeats the text just before a mark goes as well.
    """
    marked = [number for number, s in enumerate(statements) if s.highlight]
    if not marked or len(marked) == len(statements):
        return _without_echo(statements)
    start = marked[0]
    while start > 1 and _repeated(statements[start - 1], statements[: start - 1]):
        start -= 1
    before, behind = statements[:start], statements[start:]
    if before and all(_repeated(s, before, share=0.6) for s in behind):
        return tuple(before)
    first, rest = statements[: marked[-1] + 1], statements[marked[-1] + 1 :]
    if rest and all(_repeated(s, rest, share=0.6) for s in first):
        return tuple(rest)
    return tuple(statements)


def _without_echo(statements: list[Statement]) -> tuple[Statement, ...]:
    """Statements up to where the label starts anew: from there on nothing is said that was not said before."""
    for start in range(1, len(statements)):
        before, behind = statements[:start], statements[start:]
        anew = _says_the_same(statements[0], statements[start])
        if anew and all(_repeated(s, before, share=1.0) for s in behind):
            return tuple(before)
    return tuple(statements)


def _says_the_same(one: Statement, other: Statement) -> bool:
    """Whether a statement repeats the opening one, perhaps with the class of the drug before what it is for."""
    condensed = _CONDENSED.match(other.text)
    text = other.text[condensed.end() :] if condensed else other.text
    words, known = _content(text), _content(one.text)
    return len(words) >= 4 and len(words & known) >= 0.75 * len(words)


def _repeated(statement: Statement, others: list[Statement], share: float = 0.75) -> bool:
    condensed = _CONDENSED.match(statement.text)
    text, before = statement.text[condensed.end() :] if condensed else statement.text, " ".join(s.text for s in others)
    words, known = _content(text), _content(before)
    numbers = set(_NUMBERS.findall(text)) - set(_NUMBERS.findall(before))
    denied = len(_NEGATION_WORDS.findall(text)) > len(_NEGATION_WORDS.findall(before))
    if share == 1.0:  # not even another condition; small words may differ
        words = frozenset(w for w in words if len(w) > 3)
    return bool(words) and len(words & known) >= share * len(words) and not numbers and not denied


_LABELLED = re.compile(r"[A-Z][A-Za-z/,() -]{3,60}?\s?: [A-Z]")  # a line of the first page: "Renal Impairment: Reduce"

Reader = Callable[[Place], Iterator[Fact]]
READERS: list[tuple[frozenset[str], tuple[str, ...], Reader]] = []


def reader(*kinds: str, codes: str = "") -> Callable[[Reader], Reader]:
    """Register a reader with the kinds that it yields and the codes that have authority over them (none: all)."""

    def register(read: Reader) -> Reader:
        READERS.append((frozenset(codes.split()), kinds, read))
        return read

    return register


@lru_cache(maxsize=512)
def facts_of(place: Place) -> tuple[Fact, ...]:
    """All facts of a section."""
    if place.nameless:
        return ()
    readers = [read for authority, _, read in READERS if not authority or place.code in authority]
    return tuple(fact for read in readers for fact in read(place) if not place.flaw(fact))


def spelled(drug: str, text: str) -> str:
    """The drug as the text spells it throughout ("Chalkefenn"); as it is known when the text is of two minds."""
    spellings = {m.group() for m in re.finditer(rf"\b{re.escape(drug)}\b", text, re.IGNORECASE)}
    capital = drug[:1].upper() + drug[1:]
    return capital if capital in spellings and drug not in spellings and len(drug.split()) == 1 else drug


def aliases(section: Section) -> tuple[str, ...]:
    """Every name by which the label may call its drug, longest first."""
    return _aliases(section.drug, section.brands)


@lru_cache(maxsize=4096)
def _aliases(drug: str, brands: tuple[str, ...]) -> tuple[str, ...]:
    names = {drug, *brands}
    for brand in brands:
        first = brand.split()[0].strip("(),")
        if len(first) >= 5 and first.casefold() not in _PLAIN_FIRST_WORDS and first.isalpha():
            names.add(first)
    return tuple(sorted((n for n in names if len(n) > 2), key=lambda n: (-len(n), n)))


@lru_cache(maxsize=4096)
def any_name(names: tuple[str, ...]) -> re.Pattern[str]:
    """An expression that finds any of the names, longest first, as words of their own."""
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, names)) or '(?!)'})(?!\w)", re.IGNORECASE)


def names_it(section: Section, text: str) -> bool:
    """Whether the text calls the drug by one of its names."""
    return bool(any_name(aliases(section)).search(text))


def answered(place: Place, statement: str) -> str:
    """The statement as an answer that names the drug of the question.

    A brand is followed by the drug's name in brackets; a statement that names neither is introduced.
    """
    drug = place.section.drug
    if any_name((drug,)).search(statement):
        return statement
    if not place.is_over_the_counter:
        for name in aliases(place.section):
            match = re.search(rf"(?<![\w-])(?i:{re.escape(name)})(?= [a-z]|[.,;]|$)", statement)
            if match and match.group()[0].isupper():
                return f"{statement[: match.end()]} ({drug}){statement[match.end() :]}"
    gap = "\n" if "\n" in statement else " "
    return f"The label of {place.name} states:{gap}{statement}"


def clean_heading(title: str) -> str:
    """A heading without its number: "5.1 Hepatotoxicity" -> "Hepatotoxicity"; "" for what is none."""
    bare = re.sub(r"^\W*\d{0,2}(?:\.\d{1,2})*\W*", "", " ".join(title.split())).strip(" .:")
    bare = re.sub(r"^(?:[A-Z]{4,}[ /&,]+(?:AND |OF |OR |FOR )*){2,}(?=[A-Z][a-z])", "", bare)
    bare = re.sub(r"(?<=[a-z]) (?:[A-Z]{2,}\W+){3,}.*$", "", bare)  # a sentence in capitals behind its heading
    bare = re.sub(r"\s*[\[(]\s*(?:see\b.*|\d[\d., ]*)[\])]$", "", bare)
    bare = re.sub(r"(?<=[A-Za-z]) (\d) -(?=[A-Za-z])", r"\1-", bare)  # "Beta 2 -Agonists"
    words = bare.split()
    sound = 1 <= len(words) <= 14 and len(bare) > 3 and not re.search(r"[.;|?]|\bTable\b|https?:|\d{4,}|[\[\]]", bare)
    balanced = bare.count("(") == bare.count(")")
    ends_open = words and words[-1].casefold() in {
        "and",
        "of",
        "in",
        "for",
        "with",
        "or",
        "the",
        "to",
        "whether",
        "because",
        "if",
        "when",
        "while",
        "although",
        "since",
        "than",
        "by",
        "from",
        "at",
        "on",
        "who",
        "which",
        "concomitant",
        "may",
        "can",
        "that",
        "is",
        "are",
        "not",
        "during",
        "a",
    }
    return bare if sound and balanced and not ends_open else ""


def covered(text: str, by: str) -> bool:
    """Whether four fifths of a text's content words stand in another."""
    return _covered(text, _content(by))


def _covered(text: str, known: frozenset[str]) -> bool:
    words = _content(text)
    return bool(words) and len(words & known) >= 0.8 * len(words)


@dataclass(frozen=True)
class _Gist:
    """What of a statement is compared with another: content words, numbers, negations."""

    words: frozenset[str]
    numbers: frozenset[str]
    negations: int


def _gist(text: str) -> _Gist:
    return _Gist(_content(text), frozenset(_NUMBERS.findall(text)), len(_NEGATION_WORDS.findall(text)))


def _repeats(text: str, gist: _Gist, before: _Gist) -> bool:
    """Whether a statement says again, with the same numbers, what one before it says."""
    if len(gist.words) < 6 or gist.negations != before.negations or not gist.numbers <= before.numbers:
        return False
    if gist.words <= before.words:
        return True
    condensed = _CONDENSED.match(text)
    what_for = _content(text[condensed.end() :]) if condensed else frozenset()
    return len(what_for) >= 3 and len(what_for & before.words) >= 0.8 * len(what_for)


_NUMBERS = re.compile(r"\d[\d.,]*")
_NEGATION_WORDS = re.compile(r"\b(?:no|not|never)\b")
_CONDENSED = re.compile(r"\S+(?: \S+){0,4} (?:is|are) an? [^.]{3,200}? indicated\b")
_CONTENT_WORD = re.compile(r"[a-z0-9]{2,}")
_SMALL_CONTENT = frozenset(
    ["the", "and", "with", "for", "are", "not", "that", "this", "from", "have", "has", "was", "were", "patients"]
)


def _content(text: str) -> frozenset[str]:
    return frozenset([w[:6] for w in _CONTENT_WORD.findall(text.casefold()) if w not in _SMALL_CONTENT])


@lru_cache(maxsize=16384)
def leans_back(text: str) -> bool:
    """Whether a sentence needs the one before it: "It", "These", "this reaction", "such patients"."""
    first = split_sentences(text.split("\n")[0])[:1]
    return bool(_LEANS.match(text) or any(_POINTS.search(sentence) for sentence in first))


_LEANS = re.compile(
    r"^(?:It|Its|They|Their|These|This|Those|That|Such|However|Therefore|Thus|In addition|Additionally|Also|Furthermore|"
    r"Moreover|Similarly|Both|He|She|Other|Another|Although (?:these|this)|If (?:so|this|these|such|they|it|not)|Or|And|But|Then|Hence|"
    r"Conversely|As a result|For example|In (?:this|these|such|that|those|both|either)|Of (?:these|those|the)|Here|There (?:was|were)|"
    r"At (?:this|that|these)|With (?:this|these)|For (?:this|these|those|such)|After (?:this|that)|Otherwise|Nevertheless|Likewise|"
    r"Alternatively|Again|Further|Each of|None of|The (?:latter|former|same|above|other|remaining|two|three|drug|study|trial|increase|decrease|following|most common of these)|"
    r"Instead|Subsequently|Consequently|Finally|First|Second|Third|Next|No such|One of (?:these|the)|Some of (?:these|the)|Most of|To (?:do|minimize) (?:so|this)|Until then|Unlike)\b"
)
_POINTS = re.compile(
    r"\b(?:these|those|such|this) (?:patients|subjects|studies|trials|reactions|events|agents|drugs|medications|products|effects|cases|adverse|reports|data|findings|"
    r"doses?|dosages?|study|trial|group|population|reaction|setting|combination|regimen|increases?|changes?|levels?|concentrations?|conditions?|"
    r"symptoms|signs|risks?|inhibitors|inducers|results?|interaction|metabolites?|infants|children|women|individuals|differences?|tests?|class|purpose|procedure|time|point|dose)\b|\bthe (?:above|latter|former)\b|\brespectively\b|\bthis (?:patient|age|clinical|pediatric)\b|\b(?:these|those)\b(?! (?:who|with|receiving|treated|of|in|seen|observed|taking|from|given|on|aged|without|for|that)\b)",
    re.IGNORECASE,
)
