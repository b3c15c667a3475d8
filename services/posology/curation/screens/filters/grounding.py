"""Answers that their section does not support: in their words, their numbers, or one of their slots."""

import re
from collections.abc import Iterator
from functools import lru_cache

from posology.curation.domain import Pair
from posology.curation.screens.filters import Context, FilterResult, drop, keep, register
from posology.curation.text.normal import normal, split_sentences, tokens, without_references
from posology.curation.text.quantities import Fingerprint, fingerprint, quantities
from posology.curation.text.questions import bare_question
from posology.curation.text.repair import plain_text

_SHARE = 0.6  # of the answer's content words must occur in the section
_SMALL_WORDS_TEXT = """
    the a an of to in is are was were be been and or for with on at by as it its this that these those not no
    from may can should will would which who what when how than then there their they if has have had also
    into other such answer yes label said states state
"""
_SMALL_WORDS = frozenset(_SMALL_WORDS_TEXT.split())
_SLOTS = ("comparators", "populations", "frequencies", "routes", "directions")  # an answer may name fewer, never others
_COUNTED = re.compile(r"^(-?[\d.]+)(?:dose|tablet|time|capsule|drop|spray|puff|patch|vial|caplet|sachet|x)$")


@register("grounding", order=90)
def grounding(pair: Pair, context: Context) -> FilterResult:
    """Drop answers with numbers or slots that the section lacks, evidence that is not in it, or mostly foreign words.

    Pairs without a section (ready-made ones) are kept: there is nothing to hold them against.
    """
    if not context.section_text:
        return keep
    text = _normal(context.section_text)
    if pair.evidence and not _quoted(pair.evidence, text, context.section_text):
        return drop("the evidence is not a sentence of the section")
    question = bare_question(pair.question)
    stated = quantities(context.section_text) | quantities(plain_text(context.section_text)) | quantities(question)
    invented = _without_counts(quantities(pair.answer)) - _without_counts(stated)
    if invented:
        return drop(f"numbers that the section does not have: {', '.join(sorted(invented))}")
    words = [w for w in tokens(pair.answer) if w not in _SMALL_WORDS]
    known = _vocabulary(context.section_text) | set(tokens(pair.drug)) | set(tokens(question))
    share = sum(_known(w, known) for w in words) / len(words) if words else 1.0
    if share < _SHARE:
        return drop(f"only {share:.0%} of its words are in the section, at least {_SHARE:.0%} wanted")
    slot = _contradicted(pair, context.section_text, question)
    return drop(slot) if slot else keep


def _contradicted(pair: Pair, section_text: str, question: str) -> str:
    """The slot in which a sentence of the answer says other than the sentences of the section that it resembles."""
    answer = pair.answer.replace(f" ({pair.drug})", "")
    if pair.question_type == "check" or (pair.evidence and normal(pair.evidence) in normal(answer)):
        return ""  # the evidence stands in the section, and the answer is the evidence
    asked = fingerprint(question)
    for sentence in _claims(answer):
        if normal(sentence).strip(" .") in _whole_sentences(section_text):
            continue  # a whole sentence of the section; a part of one may have lost its "Do not"
        near = _nearest(sentence, section_text)
        if not near:
            continue
        claim, sources = fingerprint(sentence), [fingerprint(s) for s in near]
        for name in _SLOTS:
            allowed = frozenset().union(getattr(asked, name), *(getattr(s, name) for s in sources))
            foreign = getattr(claim, name) - allowed
            if foreign and not (name == "frequencies" and foreign <= {"once"}):
                return f"{name} that the section does not state there: {', '.join(sorted(foreign))}"
        if not any(_same_polarity(claim, source, asked) for source in sources):
            return f"negation differs from the section: {', '.join(sorted(claim.negations)) or 'none'}"
    return ""


def _same_polarity(claim: Fingerprint, source: Fingerprint, asked: Fingerprint) -> bool:
    """Forbidding in other words is the same; forbidding less, or more, is not."""
    return _polarity(claim) == _polarity(source) or _polarity(claim) == _polarity(source) ^ _polarity(asked)


def _polarity(facts: Fingerprint) -> frozenset[str]:
    named = {"forbid": "no", "discourage": "no", "not": "not", "not needed": "not needed", "un": "not"}
    return frozenset(named[n] for n in facts.negations if n in named)


def _claims(answer: str) -> Iterator[str]:
    bare = re.sub(r"^(?:Yes|No)[.,]\s+|^The label of .{2,80}? states:\s+|^The answer is\s+", "", answer)
    lines = bare.split("\n")
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.endswith(":") and below and not below.startswith("- "):
            continue  # a heading above its text claims nothing
        yield from (s for s in split_sentences(line.removeprefix("- ")) if len(s.split()) >= 2)


def _nearest(sentence: str, section_text: str) -> list[str]:
    """The sentences of the section that share most of the claim's words: the best, and those almost as good."""
    words = {w for w in tokens(sentence) if w not in _SMALL_WORDS}
    if not words:
        return []
    scored = [(len(words & other) / len(words), text) for text, other in _sentence_words(section_text)]
    best = max((score for score, _ in scored), default=0.0)
    return [text for score, text in scored if score >= best - 0.05] if best >= 0.4 else []


@lru_cache(maxsize=512)
def _normal(text: str) -> str:
    return normal(text)


@lru_cache(maxsize=256)
def _whole_sentences(section_text: str) -> frozenset[str]:
    return frozenset(normal(text).strip(" .") for text, _ in _sentence_words(section_text))


@lru_cache(maxsize=256)
def _sentence_words(section_text: str) -> tuple[tuple[str, frozenset[str]], ...]:
    lines = [s for line in plain_text(section_text).split("\n") for s in split_sentences(line)]
    return tuple((line, frozenset(tokens(line)) - _SMALL_WORDS) for line in lines)


@lru_cache(maxsize=256)
def _vocabulary(text: str) -> frozenset[str]:
    words = tokens(text)
    return frozenset(words) | frozenset(w[:6] for w in words if len(w) > 6)


def _known(word: str, known: frozenset[str] | set[str]) -> bool:
    return word in known or (len(word) > 6 and word[:6] in known)


def _without_counts(amounts: frozenset[str]) -> frozenset[str]:
    """ "3 doses" and "three doses" are both 3."""
    return frozenset(m.group(1) if (m := _COUNTED.match(amount)) else amount for amount in amounts)


def _quoted(evidence: str, text: str, section_text: str) -> bool:
    """Evidence may leave out cross-references, and a list or a summary rests on several lines."""
    plain = normal(evidence)
    if plain in text or plain in _normal(without_references(text)):
        return True
    cleaned = _cleaned(section_text)
    lines = [normal(line.removeprefix("- ")) for line in evidence.split("\n") if line.strip(" -")]
    if plain in cleaned or all(_pieces(line, cleaned) for line in lines):
        return True
    known = set(tokens(text))
    words = tokens(evidence)
    return len(words) > 60 and sum(w in known for w in words) / len(words) >= 0.95


def _pieces(line: str, text: str) -> bool:
    """A line of evidence stands in the text; sentences of one line may stand apart there, and a lost stop is none."""
    return line in text or all(part in text or part.rstrip(".") in text for part in re.split(r"(?<=[.!?]) ", line))


@lru_cache(maxsize=256)
def _cleaned(text: str) -> str:
    """The section as evidence is taken from it: no references, no bullets, no bars between cells."""
    flat = re.sub(r"(?m)^\s*(?:[-*•▪●◦■]|\d{1,2}[.)])\s*", "", text)
    return normal(re.sub(r"\s*[•▪●◦■‣|]\s*", " ", plain_text(flat)))
