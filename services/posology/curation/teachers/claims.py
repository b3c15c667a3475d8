"""Whether each claim of a written answer stands in its section: checks that need no model and believe no teacher.

An answer is taken sentence by sentence. Each is held against the evidence and against the sentence or table row of the
section that is nearest to it; every slot that it fills (drug, amount, comparison, frequency, route, direction,
negation, population) must be filled the same way there. A sentence of the section, letter for letter, is supported as
it is.
When in doubt the pair goes: another section gives another pair, and a wrong one costs more.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from posology.core.visible import hidden
from posology.curation import codes
from posology.curation.domain import Section
from posology.curation.sources.characters import clean
from posology.curation.teachers import Draft
from posology.curation.text.normal import normal, sentences, tokens, without_references
from posology.curation.text.quantities import Fingerprint, fingerprint
from posology.curation.text.questions import bare_question

_NEAR = 0.5  # of a sentence's content words must stand in what supports it
_SMALL_TEXT = """
    a an the of to in is are was were be been being and or for with on at by as it its this that these those from
    may can should will would which who what when how than then there their they them if has have had also into other
    such yes label says according because so you your patient patients people person drug medicine medication use used
    using take taken taking given give do does must need needed
"""
_SMALL = frozenset(_SMALL_TEXT.split())
# Words that decide by themselves: a section that does not use them does not say so.
_ASSERTS = (
    "safe", "harmless", "effective", "approved", "indicated", "recommend", "contraindicat", "establish", "permitted",
    "allowed", "interchangeab", "guarantee", "proven",
)  # fmt: skip
_NEGATIVE = re.compile(
    r"\b(?:not|no|never|none|cannot|can't|don't|doesn't|isn't|aren't|shouldn't|avoid(?:ed|ing)?|contraindicated|unsafe|"
    r"without|neither|nor|stop|discontinue[ds]?|withhold|unlikely|lacks?|prohibited|forbidden|unknown|insufficient)\b"
)
# Endings of international nonproprietary names (WHO stem book): what looks like a drug, and is not in the section.
_STEM = re.compile(
    r"\b\w{3,}(?:mab|nib|olol|pril|sartan|vastatin|conazole|cillin|mycin|floxacin|navir|tegravir|buvir|gliptin|gliflozin|parin|"
    r"xaban|glutide|prazole|oxetine|azepam|azolam|dipine|triptan|setron|ciclib|parib|barbital|caine|cycline|thiazide|profen|"
    r"coxib|lukast|tidine|zosin|fibrate|dronate|curium|platin|rubicin|mustine|ciclovir|vudine|citabine|farin|formin|xetine)s?\b"
)
_LEAD = re.compile(r"^(?:yes|no)\b[,.:;]?\s*", re.IGNORECASE)


def unsupported(draft: Draft, section: Section, *, drugs: frozenset[str] = frozenset()) -> str:
    """Why a draft must not be kept, as "reason: detail"; "" when every claim is supported."""
    texts = (draft.answer, draft.evidence, draft.prompt[-1].content)
    if character := next(filter(None, (hidden(clean(text)) for text in texts)), ""):
        return f"hidden: it holds {character}, which a reader does not see"
    passages = _passages(section.title, section.text)
    if reason := _evidence(draft.evidence, section):
        return reason
    question = bare_question(draft.prompt[-1].content)
    if reason := _question(question, draft, section, drugs):
        return reason
    claims = [claim for claim in _claims(draft.answer) if claim]
    if not claims:
        return "empty: the answer states nothing"
    whole = {normal(passage) for passage in passages} | {normal(draft.evidence)}
    spoken = " \n".join(whole)
    for claim in claims:
        if normal(claim).rstrip(".") in spoken:
            continue
        support = _support(claim, draft.evidence, passages)
        if reason := _claim(claim, support, question, section, drugs):
            return f"{reason} (of {claim[:80]!r})"
    return ""


def _evidence(evidence: str, section: Section) -> str:
    """Evidence is a quotation of some length; spaces, case and cross-references aside."""
    plain = normal(evidence).strip("\"'“”. ")
    if len(tokens(plain)) < 2 or len(plain) < 8:
        return "evidence: there is none"
    text = _bare(section.text)
    pieces = [piece for piece in re.split(r"\s*(?:\.\.\.|…|\n)\s*", plain) if piece]
    if all(
        _bare(piece) in text or _bare(without_references(piece)) in _bare(without_references(section.text))
        for piece in pieces
    ):
        return ""
    return "evidence: it is not in the section"


def _question(question: str, draft: Draft, section: Section, drugs: frozenset[str]) -> str:
    """The question names the drug, and nothing that the section does not speak of."""
    named = {word for word in tokens(section.drug) if len(word) > 3} or set(tokens(section.drug))
    if named and section.code and not named & set(tokens(f"{question} {' '.join(m.content for m in draft.prompt)}")):
        return f"question: it does not name {section.drug}"
    asked_of, stated = _slots(question, drugs), _slots(f"{section.title}\n{section.drug}\n{section.text}", drugs)
    topic = _slots(codes.title_of(section.code), drugs)
    if foreign := asked_of.populations - stated.populations - topic.populations:
        return f"question: the section does not speak of {_listed(foreign)}"
    if strangers := _foreign_drugs(question, section, drugs):
        return f"drug: the section does not name {_listed(strangers)}"
    return ""


def _claim(claim: str, support: str, question: str, section: Section, drugs: frozenset[str]) -> str:
    """What one sentence claims beside, or against, what supports it; "" for nothing."""
    words = [word for word in tokens(claim) if word not in _SMALL]
    known = set(map(_stem, tokens(f"{support} {question} {section.title} {section.drug}")))
    share = sum(_stem(word) in known for word in words) / len(words) if words else 0.0
    if strangers := _foreign_drugs(claim, section, drugs):
        return f"drug: the section does not name {_listed(strangers)}"
    if share < _NEAR:
        return f"words: only {share:.0%} of them stand in the section"
    claimed, stated = _slots(claim, drugs), _slots(support, drugs)
    context = _slots(f"{question} {section.title} {codes.title_of(section.code)}", drugs)
    for slot in ("quantities", "frequencies", "routes", "comparators", "directions"):
        if foreign := getattr(claimed, slot) - getattr(stated, slot):
            return f"{slot}: the section does not say {_listed(foreign)}"
    if foreign := claimed.populations - stated.populations - context.populations:
        return f"populations: the section does not say it of {_listed(foreign)}"
    if _negative(claim) != _negative(support):
        return "negation: the section says the opposite"
    asserted = [word for word in _ASSERTS if word in normal(claim) and word not in normal(support)]
    return f"assertion: the section does not say {_listed(asserted)}" if asserted else ""


@lru_cache(maxsize=64)
def _passages(title: str, text: str) -> tuple[str, ...]:
    """The sentences of a section, list items with their lead, and table rows with the head of their table."""
    made: list[str] = []
    lead = head = ""
    for line in text.split("\n"):
        if line.startswith("|"):
            if "---" in line and made:
                head = made.pop()
            else:
                made.append(" ".join(f"{head} {line}".replace("|", " ").split()))
            continue
        head = ""
        if line.startswith("- "):
            made.append(f"{lead} {line[2:]}".strip())
            made.extend(sentences(line))
            continue
        lead = line if line.rstrip().endswith(":") else ""
        made.extend(sentences(line))
    return tuple(dict.fromkeys(passage for passage in made if passage))


def _support(claim: str, evidence: str, passages: Sequence[str]) -> str:
    """The nearest sentence or row, or all of the evidence where a claim rests on several: what it must agree with."""
    words = {_stem(word) for word in tokens(claim) if word not in _SMALL}

    def nearness(passage: str) -> float:
        return len(words & set(map(_stem, tokens(passage)))) / max(1, len(words))

    quoted = [sentence for line in evidence.split("\n") for sentence in sentences(line)]
    nearest = max([*quoted, *passages], key=nearness, default="")
    return evidence if nearness(evidence) > nearness(nearest) + 0.15 else nearest


def _claims(answer: str) -> list[str]:
    """The sentences of an answer without "Yes." and "No.", which its question turns either way."""
    return [claim for claim in sentences(_LEAD.sub("", answer.strip())) if tokens(claim)]


def _foreign_drugs(text: str, section: Section, drugs: frozenset[str]) -> set[str]:
    """Names of drugs, known ones and what ends like one, that neither the section nor its label's name has."""
    plain = normal(text)
    named = set(_slots(text, drugs).drugs) | set(_STEM.findall(plain) and [m.group() for m in _STEM.finditer(plain)])
    there = normal(f"{section.drug} {section.title} {section.text}")
    return {name for name in named if name not in there and name.rstrip("s") not in there}


def _negative(text: str) -> bool:
    """Whether a clause is negative. Two negations of one cancel: "do not take without food" is "take with food"."""
    clauses = re.split(r"[;:,]|\b(?:and|but|so)\b", normal(text).replace("’", "'"))
    return any(len(_NEGATIVE.findall(clause)) % 2 for clause in clauses)


@lru_cache(maxsize=4096)
def _slots(text: str, drugs: frozenset[str]) -> Fingerprint:
    return fingerprint(text, drugs=drugs) if drugs else fingerprint(text)


def _stem(word: str) -> str:
    return word[:5] if len(word) > 5 else word


def _bare(text: str) -> str:
    """Words and numbers alone, so that dashes, bullets and table marks of a quotation do not matter."""
    return (
        " ".join(re.findall(r"[\w.,%°<>≤≥/+-]+", re.sub(r"\|(?:\s*---\s*\|)*|^- ", " ", normal(text))))
        .replace(" .", ".")
        .strip(" .,-")
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
