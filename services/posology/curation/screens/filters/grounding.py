"""Answers that their section does not support."""

import re

from posology.curation.domain import Pair
from posology.curation.screens.filters import Context, Verdict, drop, filter, keep
from posology.curation.text.normal import normal, tokens, without_references
from posology.curation.text.quantities import quantities
from posology.curation.text.questions import bare_question
from posology.curation.text.repair import plain_text

_SHARE = 0.6  # of the answer's content words must occur in the section
_SMALL_WORDS_TEXT = """
    the a an of to in is are was were be been and or for with on at by as it its this that these those not no
    from may can should will would which who what when how than then there their they if has have had also
    into other such answer yes label said
"""
_SMALL_WORDS = frozenset(_SMALL_WORDS_TEXT.split())


@filter("grounding")
def grounding(pair: Pair, context: Context) -> Verdict:
    """Drop answers with numbers that the section lacks, evidence that is not in it, or mostly foreign words.

    Pairs without a section (ready-made ones) are kept: there is nothing to hold them against.
    """
    if not context.section_text:
        return keep
    text = normal(context.section_text)
    if pair.evidence and not _quoted(pair.evidence, text, context.section_text):
        return drop("the evidence is not a sentence of the section")
    invented = quantities(pair.answer) - quantities(context.section_text) - quantities(bare_question(pair.question))
    if invented:
        return drop(f"numbers that the section does not have: {', '.join(sorted(invented))}")
    words = [w for w in tokens(pair.answer) if w not in _SMALL_WORDS]
    known = set(tokens(context.section_text)) | set(tokens(pair.drug)) | set(tokens(bare_question(pair.question)))
    share = sum(w in known for w in words) / len(words) if words else 1.0
    wanted = f"at least {_SHARE:.0%} wanted"
    return keep if share >= _SHARE else drop(f"only {share:.0%} of its words are in the section, {wanted}")


def _quoted(evidence: str, text: str, section_text: str) -> bool:
    """Evidence may leave out cross-references, and a summary rests on several sentences."""
    plain = normal(evidence)
    if plain in text or plain in normal(without_references(text)):
        return True
    cleaned = normal(_cleaned(section_text))
    lines = [normal(line.removeprefix("- ")) for line in evidence.split("\n") if line.strip(" -")]
    if plain in cleaned or all(_pieces(line, cleaned) for line in lines):
        return True
    found = set(tokens(text))
    words = tokens(evidence)
    return len(words) > 60 and sum(w in found for w in words) / len(words) >= 0.95


def _pieces(line: str, text: str) -> bool:
    """A line of evidence stands in the text; sentences of one line may stand apart there."""
    return line in text or all(part in text for part in re.split(r"(?<=[.!?]) ", line))


def _cleaned(text: str) -> str:
    """The section as evidence is taken from it: no references, no bullets, no bars between cells."""
    flat = re.sub(r"(?m)^\s*(?:[-*•▪●◦■]|\d{1,2}[.)])\s*", "", text)
    return re.sub(r"\s*[•▪●◦■‣|]\s*", " ", plain_text(flat))
