"""Sections repaired before anybody reads them: references out, headings split off, bullets joined to their stem.

Real labels glue what a page keeps apart: "5.1 Hepatotoxicity Rare cases of", "WARNING: SEVERE BLEEDING Veltoran can
cause", "Monitor for bleeding. ( 5.1 ) Higher mortality". What cannot be taken apart with certainty is marked as
doubtful, and whoever builds on sentences leaves it alone.
"""
# ruff: noqa: E501  (expressions read better unbroken)

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from posology.curation import codes
from posology.curation.domain import Section
from posology.curation.text.normal import split_sentences, without_references

_MARK = "\x02"  # stands for a bare reference, "( 5.1 )": the sign of the highlights that flat texts repeat
_BARE = re.compile(
    r"\s*\(\s*\d{1,2}(?:\.\d{1,2})?(?:\s*[,;]\s*(?:and\s+)?\d{1,2}(?:\.\d{1,2})?)*\s*\)(?!\s*(?:mg|mL|%|°))"
)
# A reference with no stop behind it, and then a capital: what stood between two items or sentences got lost.
_SEE_THEN_CAPITAL = re.compile(
    r"(?<=[a-z0-9)%])\s*[\[(]\s*(?:s\s?ee(?: also)?|refer to)\b[^\])]*?(?:\([^)]*\)[^\])]*?)*[\])]\s+(?=[A-Z][a-z])"
)
_BULLET_SIGN = re.compile(r"\s*[•▪●◦■‣►⦁]\s*|(?<=[.:;)])\s+[·o]\s+(?=[A-Z])")
_BULLET_LINE = re.compile(r"^\s*(?:[-*]\s+|\d{1,2}[.)]\s+(?=[A-Z]))")
_NUMBERED = re.compile(r"^\d{1,2}(?:\.\d{1,2})+\.?\s+(?=[A-Z])|^\d{1,2}\.?\s+(?=[A-Z]{4})")
_REPEATS = re.compile(r"\s*See full prescribing information for (?:the )?complete boxed warning\.?\s*", re.IGNORECASE)
_FULL_INFORMATION = re.compile(r"(?:^|(?<=\. ))See (?:the )?[Ff]ull [Pp]rescribing [Ii]nformation[^.]*\.\s*")


def _lowered(letter: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{letter}{match.group(1)}{'-' if match.group().endswith('-') else ''}"


_FLATTENED = (  # what flat texts lost of raised and lowered characters, where it is beyond doubt
    (re.compile(r"\b([CT]) (max|min)\b"), r"\1\2"),
    (re.compile(r"\b([Bb]|P2Y) (12|6)\b"), r"\1\2"),
    (re.compile(r"(?<=\^[23]) (?=/)"), ""),
    (re.compile(r"(?<=/)(mm|cm|m) ([23])\b"), r"\1^\2"),
    (re.compile(r"(?<=\d )(mm|cm|m) ([23])\b(?!\s?(?:mg|mL|%|-))"), r"\1^\2"),
    (re.compile(r"(?<=[x×] )10 (\d{1,2})(?: (?=/)|\b(?=[ .,)]))"), r"10^\1"),
    (re.compile(r"\b(IC|EC) (50s?|90s?)\b"), r"\1\2"),
    (re.compile(r"\b(N|CO|H) 2( ?O)?\b(?=[ ,.)-])"), lambda match: match.group().replace(" ", "")),
    (re.compile(r"\b(cytochrome b) (5)\b"), r"\1\2"),
    (re.compile(r"\b([NOS])- (?=[a-z]{4})"), r"\1-"),
    (re.compile(r"\b(e?CL|CL|Cr?CL) ?(?:cr|CR)\b"), r"\1cr"),
    (re.compile(r"\b(AUC) (INF|inf|last|tau|ss)\b"), r"\1\2"),
    (re.compile(r"\b(\d{0,2}(?:1 st|2 nd|3 rd|[04-9] th))\b"), lambda match: match.group().replace(" ", "")),
    (re.compile(r"\b(5-HT|FEV|HbA|CO|SpO) (\d[A-Za-z]?)\b"), r"\1\2"),
    (re.compile(r"\bH ([12])(?: ?-(?=[a-z])|(?= (?:receptor|blocker|antagonist|O\b)))"), _lowered("H")),
    (re.compile(r"\bD ([1-5])(?: ?-(?=[a-z])|(?= (?:receptor|and|or|,)))"), _lowered("D")),
    (re.compile(r"(?<=[αβ])\s(\d)(?=\s?-|[ ,])"), r"\1"),
    (re.compile(r"\b(alpha|beta) (\d) ?-(?=[a-z])"), r"\1\2-"),
    (re.compile(r"(?<=[αβ]\d) -(?=[a-z])"), "-"),
    (re.compile(r"(?<=[a-z]{3}) -(?=[A-Z]{2}\b|[A-Z]?[a-z]{4})"), "-"),
    (re.compile(r"\b(H|K|Na|Ca|Mg) (2?\+)"), r"\1\2"),
    (re.compile(r"(?<=[a-z]{2})- (?=[A-Z][a-z]+ed\b)"), "-"),
    (re.compile(r"(?<=[a-z]{2})- (?!(?:and|or|to|nor|versus|vs|than|but|as|in|the|with|of|then)\b)(?=[a-z]{3})"), "-"),
)

SUBHEADINGS = (
    "Risk Summary", "Data", "Human Data", "Animal Data", "Clinical Considerations", "Limitations of Use", "Limitation of Use",
    "Limitations of use", "Absorption", "Distribution", "Elimination", "Metabolism", "Excretion", "Specific Populations", "Storage and Handling",
    "Special Handling", "How Supplied", "Storage", "Contraception", "Females", "Males", "Infertility", "Pregnancy Testing",
    "Suicidality and Antidepressant Drugs", "Pregnancy Exposure Registry", "Pregnancy exposure registry", "Teratogenic Effects", "Nonteratogenic Effects", "Non-Teratogenic Effects",
    "Pregnancy Category A", "Pregnancy Category B", "Pregnancy Category C", "Pregnancy Category D", "Pregnancy Category X",
    "Pregnancy", "Lactation", "Nursing Mothers", "Pediatric Use", "Geriatric Use", "Renal Impairment", "Hepatic Impairment",
    "Labor or Delivery", "Labor and Delivery", "Fetal/Neonatal Adverse Reactions", "Fetal/Neonatal adverse reactions",
    "Disease-Associated Maternal and/or Embryo/Fetal Risk", "Disease-associated maternal and/or embryo/fetal risk",
    "Dose Adjustments During Pregnancy and the Postpartum Period", "Maternal Adverse Reactions", "Mechanism of Action",
    "Effect of Food", "Food Effect", "Drug Interaction Studies", "Drug Interactions", "Cardiac Electrophysiology", "Pharmacokinetics",
    "Pharmacodynamics", "Contraindications", "Usual Dosage", "Adults", "Adult Patients", "Pediatric Patients", "Geriatric Patients",
    "Geriatrics", "Pediatrics", "Carcinogenesis", "Mutagenesis", "Impairment of Fertility", "General", "Reproductive Toxicology",
    "Signs and Symptoms", "Management", "Treatment", "Treatment of Overdosage", "Management of Overdose", "Human Experience", "Abuse", "Dependence",
    "Controlled Substance", "Monitoring", "Indications", "Warnings", "Precautions", "Males and Females", "Minimizing Exposure", "Postmarketing Experience",
    "Clinical Trials Experience", "Immunogenicity", "Dosage", "Administration", "Recommended Dosage", "Dose Modifications", "Dosage Modifications",
)  # fmt: skip
_SUBHEADING = re.compile(
    r"^(?:" + "|".join(re.escape(h) for h in sorted(SUBHEADINGS, key=len, reverse=True)) + r")(?:\s*:)?\s+(?=[A-Z“\"])"
)
_STARTERS = frozenset(
    [
        "A",
        "About",
        "Administer",
        "Advise",
        "After",
        "Although",
        "An",
        "As",
        "Assess",
        "At",
        "Avoid",
        "Because",
        "Before",
        "Based",
        "Both",
        "By",
        "Caution",
        "Coadminister",
        "Cases",
        "Closely",
        "Concomitant",
        "Consider",
        "Contraindicated",
        "Counsel",
        "Counseling",
        "Decreases",
        "Discontinue",
        "Do",
        "Due",
        "During",
        "Each",
        "Evaluate",
        "Exposure",
        "Few",
        "Following",
        "For",
        "From",
        "Give",
        "If",
        "In",
        "Inform",
        "Initiate",
        "Instruct",
        "Interrupt",
        "It",
        "Limit",
        "Monitor",
        "Most",
        "No",
        "None",
        "Not",
        "Obtain",
        "Of",
        "On",
        "One",
        "Once",
        "Only",
        "Overall",
        "Patients",
        "Perform",
        "Permanently",
        "Premedicate",
        "Prescribe",
        "Prior",
        "Protect",
        "Rare",
        "Reduce",
        "Safety",
        "Select",
        "Serious",
        "Several",
        "Severe",
        "Since",
        "Some",
        "Stop",
        "Store",
        "Studies",
        "Such",
        "Swallow",
        "Take",
        "Temporarily",
        "The",
        "There",
        "These",
        "This",
        "Those",
        "Three",
        "To",
        "Two",
        "Under",
        "Upon",
        "Use",
        "Verify",
        "When",
        "While",
        "With",
        "Withhold",
        "Women",
        "You",
    ]
)
# Words that headings hold too: they start a sentence only when a small word goes on with it.
_IN_HEADINGS = frozenset(
    [
        "Use",
        "Patients",
        "Women",
        "Serious",
        "Severe",
        "Exposure",
        "Concomitant",
        "Safety",
        "Studies",
        "Closely",
        "Contraindicated",
        "Cases",
        "Caution",
        "Not",
        "Such",
        "Monitor",
    ]
)
# What is done to the drug that is named next: the subject of a sentence, no end of a heading.
_WHAT_IS_DONE = frozenset(
    {"Starting", "Prescribing", "Using", "Taking", "Discontinuing", "Stopping", "Initiating", "Administering", "Combining", "Coadministering", "Giving", "Withholding", "Switching", "Increasing", "Interrupting", "Resuming", "Receiving", "Injecting"}
)  # fmt: skip
_PREPOSITIONS = frozenset(
    [
        "For",
        "In",
        "With",
        "On",
        "At",
        "During",
        "Under",
        "After",
        "Before",
        "From",
        "By",
        "Of",
        "Following",
        "To",
        "While",
        "Without",
    ]
)
_JOINERS = frozenset({"and", "of", "in", "for", "or", "with", "to", "on", "-", "–", "&", "—", "the", "from", "by", "a", "an", "due", "than", "who", "at"})  # fmt: skip
_VERBS = re.compile(
    r"\b(?:is|are|was|were|be|been|has|have|had|can|cannot|may|might|should|must|will|would|could|do|does|did|occurs?|occurred|causes?|increases?d?|decreases?d?|"
    r"inhibits?|binds?|acts?|reduces?d?|contains?|provides?|includes?|included|consists?|ranged?|showed|shows?|demonstrated|resulted|results?|undergoes|"
    r"belongs?|works?|blocks?|prevents?|exhibits?|produces?d?|appears?|appeared|received|experienced|developed|reported|crosses|exerts?|remains?|leads?|affects?|activates?|"
    r"stimulates?|relieves?|treats?|helps?|comes?|indicated|contraindicated|interacts?|requires?|suggests?|selectively|accounts?|depends?|varies|represents?|enhances?|modulates?|targets?|potentiates?|antagonizes?|suppresses|interferes?|averages?|accumulates?|distributes?|elevates?|impairs?|disrupts?|promotes?|mediates?)\b"
)
IMPERATIVE = frozenset(
    [
        "dilute",
        "infuse",
        "reconstitute",
        "withdraw",
        "insert",
        "attach",
        "cover",
        "place",
        "wipe",
        "press",
        "hold",
        "rinse",
        "allow",
        "aspirate",
        "know",
        "tell",
        "call",
        "seek",
        "encourage",
        "remind",
        "discuss",
        "administer",
        "advise",
        "apply",
        "ask",
        "assess",
        "avoid",
        "check",
        "coadminister",
        "conduct",
        "consider",
        "consult",
        "contact",
        "counsel",
        "decrease",
        "delay",
        "determine",
        "discard",
        "discontinue",
        "dispense",
        "dissolve",
        "do",
        "educate",
        "ensure",
        "evaluate",
        "exercise",
        "follow",
        "give",
        "inform",
        "initiate",
        "inject",
        "institute",
        "instruct",
        "interrupt",
        "keep",
        "limit",
        "maintain",
        "manage",
        "measure",
        "monitor",
        "obtain",
        "observe",
        "perform",
        "permanently",
        "premedicate",
        "prescribe",
        "protect",
        "provide",
        "recommend",
        "reduce",
        "refrigerate",
        "remove",
        "repeat",
        "resume",
        "screen",
        "select",
        "shake",
        "start",
        "stop",
        "store",
        "swallow",
        "take",
        "taper",
        "temporarily",
        "test",
        "titrate",
        "treat",
        "use",
        "verify",
        "wait",
        "warn",
        "wash",
        "withhold",
    ]
)
_STARTERS |= {
    word.capitalize()
    for word in IMPERATIVE - {"test", "treat", "use", "exercise", "delay", "measure", "screen", "monitor", "warn"}
}
_RESIDUE = re.compile(
    r"https?:|www\.|@|\b1-8\d\d|\bTables? \d|\bTables? [A-Z]\b|\bFigures? \d|\b[Ff]ollowing table|\btable (?:below|above|that follows)|\b(?:shown|described|listed|discussed|see|given|presented|summarized|provided|outlined) (?:below|above|elsewhere)|\bNDC|"
    r"MedWatch|FDA-1088|_{3,}|\.{3,}|\bRevised\b|©|\bError!|Hyperlink|\bTo report\b|\bN ?= ?\d|\bn ?= ?\d|\b\d{1,2}\.\d{1,2} [A-Z][a-z]|\| |\bSection \d|\bsection(?:s)? (?:titled|on|of this)|"
    r"\b(?:[Pp]ackage [Ii]nsert|[Ff]ull [Pp]rescribing|prescribing information|[Ss]ee [A-Z])|\bsee\b(?! (?:a|an|your|the|things|or)\b)|[Mm]edication [Gg]uide|m 2\b|\b10 [-–]\d+\b|\bsubsections?\b|"
    r"\bC (?:ave|avg)\b|\b(?:listed|described|discussed|found) (?:in|under) (?:the )?[A-Z]{4,}|[a-z]{3,}[A-Z]\. |[a-z]{2,}[.,;](?=[A-Za-z]{2})|\(\s*\)|\[\s*\]|[;,:]\s*[.,;]|\w\s+,\w|\ufffd|\b(?:as|the) (?:above|previous|preceding)\b|\bfollows?\s*[.:]?$|^\W*\d+\s*$|\bn/a\b|\.\s*\.|[a-z]{3,}\. [a-z]{3,}|&[a-z]+;|[a-z] [A-Z][a-z]+: [a-z]|: [A-Z].*[a-z)] [A-Z][a-z]+ [a-z]+|\b(?:AUC|[CTt]) (?:max|min|ss|1/2|½|0|inf)\b|\b\d{1,2} [CHI]-|[A-Z]{17,}|[A-Z]{4,}[a-z]{4,}|"
    r"\x22\x22|“”|(?:[a-z]s|ing):[a-z]{2}|[a-z]{6,}[A-Z][a-z]{4,}|\b(?:of|by|with|and|the|to|for|in)[A-Z][a-z]{4,}|\b(?:are|is|was|were) (?:\([^)]*\) )?(?:are|is|was|were)\b|\b([A-Z][a-z]{3,}) \1\b|: [A-Z].*[A-Za-z0-9)%] [A-Z][a-z]+ (?:of|to|with) |†|‡|§|¶|\*"
)
_TABLE_RUN = re.compile(
    r"(?:\b\d+(?:\.\d+)?(?: \([\d.]+%?\))?\s+){4,}|(?:\b\d+ \(\d+\)\s*){2,}|\b(?:Grade|All Grades) \S+ %"
)
# A small word, and then one that only ever starts a sentence: what stood between the two got lost.
_GLUED = re.compile(
    r"[a-z)] (?:Anyone|The|This|These|If|When|Do|Avoid|It|There|Because|Although|Advise|Patients|Since|While|Some|Most|No|However|Therefore|Administer|Discontinue|Withhold|Consider|Initiate|Treatment) [a-z]"
)
_ABBREVIATION = re.compile(r"\b(?:e\.g|i\.e|vs|approx|etc|spp|subsp|St)\.")


@dataclass(frozen=True)
class Statement:
    """One sentence, or a stem with the items of its list, as the label has it without its references."""

    text: str
    highlight: bool = False  # a condensed line that a flat text repeats from the label's first page
    doubtful: bool = False  # glued to something, cut, or no sentence: nothing is asked about it

    @property
    def words(self) -> int:
        return len(self.text.split())


@dataclass(frozen=True)
class Passage:
    """What stands under one heading; "" when the section has no heading of its own there."""

    heading: str
    statements: tuple[Statement, ...]
    rows: tuple[tuple[str, ...], ...] = ()
    block: int = 0  # which numbered heading of the text it stands below; 0 before the first one

    @property
    def sound(self) -> bool:
        """Whether every statement could be read, and there is at least one."""
        return bool(self.statements) and not any(s.doubtful for s in self.statements)

    @property
    def text(self) -> str:
        return joined(s.text for s in self.statements)


def joined(texts: Sequence[str] | Iterator[str]) -> str:
    """Statements in one answer: sentences follow each other, a list ends its line."""
    out = ""
    for text in texts:
        out += ("\n" if "\n- " in out.rsplit("\n\n", 1)[-1] or ("\n" in text and out) else " ") + text if out else text
    return out


@lru_cache(maxsize=8192)
def plain_text(text: str) -> str:
    """A section's text without references; what evidence is compared with."""
    lines = (_plain_line(line).replace(_MARK, "") for line in text.split("\n"))
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())


def _plain_line(line: str) -> str:
    line = line.replace("®", "").replace("™", "").replace("\ufeff", "")
    counted = bool(_COUNTED.search(line))
    if counted:  # "(1) rest, (2) fluids" counts, and refers to no chapter
        line = _COUNT.sub("\x03\\1\x04", line)
    marked = _BARE.sub(_MARK, _SEE_THEN_CAPITAL.sub(". ", line))
    plain = _FULL_INFORMATION.sub("", without_references(marked))
    plain = re.sub(r"\s*[\[(]\s*(?:Tables?|Figures?)\s*\d[^)\]]*[\])]", "", plain)
    plain = re.sub(rf"\.\s*({_MARK}?)\s*\.(?!\.)", r".\1", plain)
    plain = re.sub(rf"\.\s*{_MARK}", f"{_MARK}.", plain)
    plain = re.sub(rf"(?<=[a-z)%])\s*{_MARK}\s+(?=(?:To report|[A-Z][a-z]+) )", f"{_MARK}. ", plain)  # it ends a line
    plain = re.sub(r"([(\[])\s+|\s+(?=[)\]])", r"\1", plain)
    for flat, raised in _FLATTENED:
        plain = flat.sub(raised, plain)
    plain = plain.replace("\x03", "(").replace("\x04", ")") if counted else plain
    return re.sub(r"\s+([.,;:])(?!\d)", r"\1", plain)


_COUNT = re.compile(r"\((\d)\)(?= [A-Za-z])")
_COUNTED = re.compile(r"\(1\) [a-z][^\n]{0,400}?\(2\) [a-z]")


@lru_cache(maxsize=4096)
def passages(section: Section) -> tuple[Passage, ...]:
    """The section's text under its headings, in order. Highlights come first or last, marked as such."""
    names = _names(section)
    blocks: list[tuple[str, list[tuple[str, str]]]] = [("", [])]
    lines = list(_lines(section))
    for number, (kind, line) in enumerate(lines):
        if kind == "text" and _NUMBERED.match(line):
            rest = _NUMBERED.sub("", line, count=1)
            heading, body = split_heading(rest, names)
            if not heading and _is_title(rest) and number + 1 < len(lines):
                heading = _plain_line(rest).replace(_MARK, "").strip()
                blocks.append((heading, []))
                continue
            if not body:
                heading, body = _before_the_name(rest, names)
            blocks.append((heading, [("text", body)] if body else []))
            if not heading:
                blocks[-1] = ("?", [("doubt", rest)])
        else:
            blocks[-1][1].append((kind, line))
    out: list[Passage] = []
    for number, (heading, lines) in enumerate(blocks):
        read = list(_passages_of(heading, lines, names, section))
        if number == 0 and len(blocks) > 1 and any(s.highlight for p in read for s in p.statements):
            read = [_as_highlights(p) for p in read]
        out.extend(replace(p, block=number) for p in read)
    return tuple(p for p in out if p.statements or p.rows)


def _before_the_name(text: str, names: Sequence[str]) -> tuple[str, str]:
    """("Psoriasis (Ps)", "VELTORAN is indicated ..."): a heading that ends where a sentence on the drug starts."""
    known = "|".join(re.escape(name) for name in names if name)
    match = re.match(
        rf"(?P<head>[A-Z][^.;:]{{2,110}}?)\s+(?P<body>(?i:{known})(?: [A-Z][\w-]*)* (?:\([^)]*\) )?(?:is|are|can|may|should|was|has)\b.*)$",
        text,
        re.DOTALL,
    )
    words = match["head"].split() if match else []
    small = [w for w in words if w[0].islower() and w not in _JOINERS and w != "including"]
    if not match or small or words[-1].casefold() in _JOINERS:
        return "", ""
    return match["head"], match["body"]


def _is_title(line: str) -> bool:
    """A numbered heading with a line of its own: few words, most of them large, no stop."""
    words = line.split()
    small = [w for w in words if w[0].islower() and w.casefold() not in _JOINERS]
    return len(words) <= 14 and not small and not re.search(r"[.:;|?]$|\d{3}|https?:", line.strip())


def _as_highlights(passage: Passage) -> Passage:
    """What stands before the first numbered heading, with bare references in it, is the label's first page."""
    return replace(passage, statements=tuple(replace(s, highlight=True) for s in passage.statements))


def _lines(section: Section) -> Iterator[tuple[str, str]]:
    """("text" | "item" | "row", line) with bullets that stand inside a line, or alone on one, made into items."""
    pending = False
    for number, raw in enumerate(section.text.split("\n")):
        line = raw.strip()
        if number == 0:
            line = _without_title(line, section)
        if re.fullmatch(r"[•▪●◦■·o-]", line):
            pending = True
            continue
        if not line:
            continue
        if line.startswith("|"):
            yield "row", line
        elif pending or _BULLET_LINE.match(line):
            yield from _item(_BULLET_LINE.sub("", line))
        else:
            parts = _BULLET_SIGN.split(line)
            if parts[0].strip():
                yield "text", parts[0].strip()
            for part in parts[1:]:
                if part.strip():
                    yield from _item(part.strip())
        pending = False


def _item(text: str) -> Iterator[tuple[str, str]]:
    """A list's last item may run on into the stem of the next list: "... surgery. Tablets are also to be avoided in:"."""
    sentences = split_sentences(_plain_line(text)) if text.rstrip().endswith(":") else []
    if len(sentences) > 1 and sentences[-1] in text:
        head, _, _ = text.rpartition(sentences[-1])
        yield "item", head.strip()
        yield "text", sentences[-1]
    else:
        yield "item", text


def _without_title(line: str, section: Section) -> str:
    """ "4. CONTRAINDICATIONS Veltoran is" -> "Veltoran is": a flat text starts with its own number and heading."""
    titles = {codes.title_of(section.code), re.sub(r"^[\d.]+\s*", "", section.title)} - {""}
    if section.code in {"34069-5", "44425-7"}:
        titles |= {"How Supplied/Storage and Handling", "How Supplied"}
    for title in sorted(titles, key=len, reverse=True):
        match = re.match(
            rf"^\W*(?:\d{{1,2}}(?:\.\d)?[.\s]*)?{re.escape(title)}\W*(?=[A-Z][A-Za-z])", line, re.IGNORECASE
        )
        if match and len(line) > match.end() and line[match.end()].isupper():
            line = line[match.end() :]
    return line


def _passages_of(
    heading: str, lines: list[tuple[str, str]], names: tuple[str, ...], section: Section
) -> Iterator[Passage]:
    statements: list[Statement] = []
    rows: list[tuple[str, ...]] = []
    stem: list[str] = []
    titles = [t for t in (section.title, codes.title_of(section.code)) if t]
    for kind, raw in [*lines, ("end", "")]:
        line = _plain_line(raw)
        if kind == "item" and stem:
            stem.append(line)
            continue
        if stem:
            statements.append(_list(stem))
            stem = []
        if kind == "row":
            rows.append(tuple(" ".join(cell.replace(_MARK, "").split()) for cell in line.strip("| ").split(" | ")))
        elif kind == "item":
            statements.append(_lone_item(line))
        elif kind == "doubt":
            statements.append(Statement(" ".join(line.replace(_MARK, "").split()), doubtful=True))
        elif kind == "text":
            sentences = split_sentences(line)
            for place, sentence in enumerate(sentences):
                head, body, doubtful = _unglued(sentence, names, titles)
                if head:
                    if statements or rows:
                        yield Passage(heading, _flat_lists(statements), tuple(rows))
                    heading, statements, rows = head, [], []
                if body.rstrip().endswith(":") and place == len(sentences) - 1:
                    stem = [body.replace(_MARK, "").strip()]
                elif body:
                    statements.append(_statement(body, doubtful))
    if statements or rows:
        yield Passage(heading, _flat_lists(statements), tuple(rows))


_FLAT_STEM = re.compile(
    r"^(?P<stem>[A-Z][^:]{8,170}?\b(?:following(?: [a-z]+){0,5}|with|in|for|who|have|who have|to|patients|of|include|includes|are|is|were|situations|conditions|taking|receiving|using)):\s+(?P<rest>\S.*)$",
    re.DOTALL,
)


def _flat_lists(statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Lists whose bullets a flat text lost: a stem with a colon, its first item, and fragments that end in full stops."""
    out: list[Statement] = []
    at = 0
    while at < len(statements):
        first = statements[at]
        match = _FLAT_STEM.match(first.text) if "\n" not in first.text else None
        fragments: list[str] = []
        following = at + 1
        if match:
            while following < len(statements) and is_fragment(statements[following].text):
                fragments.append(statements[following].text)
                following += 1
        items = re.split(r"(?<=[a-z)])\.\s+(?=[a-z])", match.group("rest")) if match else []
        if match and (fragments or len(items) > 1) and is_fragment(items[0].rstrip(".") + "."):
            parts = [f"{match.group('stem')}:", *(part.rstrip(".") + "." for part in items), *fragments]
            out.append(_list(parts) if not first.highlight else Statement(first.text, True, True))
            at = following
        else:
            out.append(first)
            at += 1
    return tuple(out)


def is_fragment(text: str) -> bool:
    """A list item without a finite verb of its own: "Severe bradycardia.", "Patients with heart block"."""
    bare = re.sub(r"\b(?:who|that|which|whose|if|when|because)\b.*", "", text)
    plain = _without_abbreviations(text)
    finite = re.search(r"\b(?:is|are|was|were|has|have|had|can|may|should|must|will|do|does|did)\b", bare)
    return (
        1 <= len(text.split()) <= 45
        and "\n" not in text
        and not finite
        and bool(re.search(r"[A-Za-z]{3}", text))  # "4.1." is the number of a heading
        and text.rstrip().endswith(".")
        and not _RESIDUE.search(plain)
        and _balanced(text)
        and text.split()[0].casefold().strip(",") not in IMPERATIVE
    )


def _statement(body: str, doubtful: bool) -> Statement:
    text = " ".join(body.replace(_MARK, "").split())
    text = re.sub(r"\.\s*\.$", ".", text)
    return Statement(text, highlight=_MARK in body, doubtful=doubtful or not is_sentence(text))


def _list(parts: Sequence[str]) -> Statement:
    """A stem and its items; an item that runs on past its end, or none at all, leaves the list in doubt."""
    highlight = any(_MARK in part for part in parts)
    texts = [" ".join(part.replace(_MARK, "").split()) for part in parts]
    stem, items = texts[0], _once_each(texts[1:])
    bad = (
        not items
        or not stem[:1].isupper()
        or _RESIDUE.search(_without_abbreviations(stem.removesuffix(":")))
        or any(_bad_item(item) for item in items)
    )
    return Statement("\n- ".join([stem, *items]), highlight=highlight, doubtful=bool(bad))


def _once_each(items: Sequence[str]) -> list[str]:
    """Items without those that an earlier one says already: the first page's list may run on behind the full one."""
    kept: list[str] = []
    for item in _without_tails(items):
        words, numbers = _words_and_numbers(item)
        before = [_words_and_numbers(k) for k in kept]
        again = any(words <= other and numbers <= figures for other, figures in before)
        nearly = any(len(words & other) >= 0.9 * len(words) and numbers == figures for other, figures in before)
        spread = len(before) > 1 and words <= frozenset().union(*(w for w, _ in before)) and _RUN_ON.match(item)
        if not words or not (again or nearly or spread):
            kept.append(item)
    return kept


def _without_tails(items: Sequence[str]) -> Iterator[str]:
    """Items without an earlier one that was glued behind them."""
    for number, item in enumerate(items):
        cuts = [item.find(before.rstrip(" ."), 1) for before in items[:number] if len(before.split()) >= 4]
        at = min((cut for cut in cuts if cut > 0 and item[cut - 1] == " "), default=len(item))
        yield item[:at].strip()


_RUN_ON = re.compile(r"(?:Tablets?|Capsules?|Injection|For injection|Oral \w+|Cream|Gel|Ointment|Solution)\b:? ?\d")


@lru_cache(maxsize=4096)
def _words_and_numbers(text: str) -> tuple[frozenset[str], frozenset[str]]:
    return frozenset(re.findall(r"[a-z][a-z0-9]{2,}", text.casefold())), frozenset(re.findall(r"\d[\d.]*", text))


def _bad_item(item: str) -> bool:
    return (
        not item
        or bool(re.fullmatch(r"\d+[.)]?", item))
        or bool(_RESIDUE.search(_without_abbreviations(item)) or _TABLE_RUN.search(item))
        or not _balanced(item)
        or item.rstrip().endswith(":")
        or len(item.split()) > 60
        or len(split_sentences(item)) > 3
        or bool(re.search(r"[.)] [A-Z]\w+(?: \w+){0,3}: ", item))  # the first page's copy behind the last item
        or bool(re.search(r"[.)] (?:[A-Z][a-z]+ ){2,}[A-Z][a-z]+ [a-z]", item))  # a heading glued behind the last item
    )


def _lone_item(line: str) -> Statement:
    text = " ".join(line.replace(_MARK, "").split())
    return Statement(text, highlight=_MARK in line, doubtful=not is_sentence(text))


def _without_abbreviations(text: str) -> str:
    return _ABBREVIATION.sub("", text)


def _balanced(text: str) -> bool:
    return text.count("(") == text.count(")") and text.count("[") == text.count("]")


def is_sentence(text: str) -> bool:
    """Whole, with a verb, understood without a table, and nothing of another sentence glued to it."""
    words = text.split()
    plain = _without_abbreviations(text)
    return (
        3 <= len(words) <= 70
        and (text[0].isupper() or text[0] in '“"' or (text[0].isdigit() and bool(re.match(r"[\d.]+\s?%", text))))
        and text[-1] == "."
        and text.count(".") < 12
        and _balanced(text)
        and not _RESIDUE.search(plain)
        and not _TABLE_RUN.search(text)
        and not _GLUED.search(text)
        and not re.search(r"^[B-HJ-Z] [a-z]|^A (?:have|has|is|are|was|were|can|may|should)\b|\b[A-Z] -[a-z]", text)
        and not _HEADING_BEFORE.match(text)
        and (bool(_VERBS.search(text)) or words[0].casefold().strip(",") in IMPERATIVE)
        and sum(w.isupper() and w.isalpha() and len(w) > 4 for w in words) <= max(2, len(words) / 6)
    )


# "During Veltoran Treatment Monitor for": the end of a heading, and then a sentence.
_HEADING_BEFORE = re.compile(r"(?:Before|During|After|Prior to|Following) (?:[A-Z][\w-]+ ){2,}[A-Z][a-z]+ [a-z]")


def _unglued(sentence: str, names: tuple[str, ...], titles: Sequence[str]) -> tuple[str, str, bool]:
    """(heading, sentence without it, whether where one ends and the other starts is in doubt)."""
    heads: list[str] = []
    for title in titles:
        bare = re.sub(r"^[\d.]+\s+", "", title)
        if (
            bare
            and sentence.casefold().startswith(bare.casefold())
            and sentence[len(bare) :].lstrip(" :")[:1].isupper()
        ):
            sentence = sentence[len(bare) :].lstrip(" :")
    while match := _SUBHEADING.match(sentence):
        heads.append(match.group().strip(" :"))
        sentence = sentence[match.end() :]
    head, body = split_heading(sentence, names)
    if body and head:
        heads.append(head)
    return " > ".join(heads), body or sentence, not body


def split_heading(sentence: str, names: Sequence[str]) -> tuple[str, str]:
    """("Risk of Bleeding", "Veltoran can cause ..."); ("", sentence) without a heading; ("", "") when nobody can tell."""
    words = sentence.split()
    run = 0
    while run < len(words) and (
        _capital(words[run]) or words[run].casefold().strip("(),:") in _JOINERS or not words[run][0].isalpha()
    ):
        run += 1
    while run > 1 and words[run - 1].casefold() in _JOINERS and not words[run - 1][0].isupper():
        run -= 1
    if run <= 1 or (run == len(words) and len(words) < 3):
        return "", sentence
    first = {name.split()[0].casefold() for name in names if name}
    if words[:2] == ["Use", "of"] and words[2:3] and words[2][0].islower():
        return "", sentence
    if words[0].casefold().strip(",") in first or words[0].strip(",") in _STARTERS - _IN_HEADINGS:
        return "", sentence
    for start in range(min(run, 24) - 1, 0, -1):
        word, before = words[start].strip(',:“"'), words[start - 1]
        if before.casefold() in _JOINERS or before.endswith((",", "/")):
            continue
        nxt = words[start + 1] if start + 1 < len(words) else ""
        if word in _PREPOSITIONS and not nxt[:1].islower() and not nxt[:1].isdigit():
            continue
        if word in {"Due", "Based"} and words[start + 2 : start + 3] and words[start + 2][0].isupper():
            continue
        small_next = nxt[:1].islower() or nxt[:1].isdigit() or nxt in {"("}
        named = word.casefold() in first and (small_next or nxt.startswith("("))
        if named and before in _WHAT_IS_DONE:  # "Prescribing VELTORAN in the absence of": the sentence starts there
            return (
                ("", sentence)
                if start == 1
                else (" ".join(words[: start - 1]).strip(" :"), " ".join(words[start - 1 :]))
            )
        while start > 1 and (
            words[start - 1] in {"Each", "The", "If", "When", "Avoid", "For", "In", "Do"}
            or (words[start - 1][0].isupper() and words[start - 1].casefold() in IMPERATIVE)
        ):
            start -= 1
        if named or (
            word in _STARTERS and (word not in _IN_HEADINGS or small_next) and (word not in {"A", "An"} or small_next)
        ):
            return " ".join(words[:start]).strip(" :"), " ".join(words[start:])
        if word == before.strip(",:") or (start >= 2 and small_next and word.casefold() == words[0].casefold()):
            return " ".join(words[:start]).strip(" :"), " ".join(words[start:])
    if run <= 3 and run < len(words) and _VERBS.match(words[run]) and words[0][0].isalpha():
        return "", sentence
    if run >= 2 and run < len(words) and sum(_capital(w) for w in words[:run]) == 1:
        return "", sentence
    return "", ""


def _capital(word: str) -> bool:
    bare = word.lstrip('(“"[')
    return bare[:1].isupper()


def _names(section: Section) -> tuple[str, ...]:
    return (section.drug, *section.brands)


def heading_and_rest(text: str) -> tuple[str, str]:
    """The capitals at the head of a boxed warning, and what follows: ("SEVERE BLEEDING", "Veltoran can ...")."""
    words = text.split()
    end = 0
    for number, word in enumerate(words):
        bare = word.strip('(),:;“”"[]*.')
        small = bare in _JOINERS | {"including", "as"} and number > 0
        if bare and not (bare.isupper() or small or not any(c.isalpha() for c in bare)):
            break
        end = number + 1
    while end and words[end - 1].strip(",").casefold() in _JOINERS | {"including"} and not words[end - 1].isupper():
        end -= 1
    return " ".join(words[:end]), " ".join(words[end:])


def without_repeat(text: str) -> str:
    """A boxed warning once: flat texts hold it twice, whole and as it stands on the first page."""
    parts = _REPEATS.split(text)
    if len(parts) == 1:
        return text
    first = parts[0]
    heading, rest = heading_and_rest(first)
    if len(rest.split()) < 6:
        return f"{heading} {' '.join(parts[1:])}"
    again = re.search(re.escape(" ".join(heading.split()[:3])), rest) if heading else None
    return f"{heading} {rest[: again.start()] if again else rest}".strip()
