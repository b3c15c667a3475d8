"""What a teacher model is asked, word for word."""

from collections.abc import Sequence

from posology.curation import codes
from posology.curation.domain import Section

_SYSTEM = (
    "You write training examples for a clinical drug information model. Use only the label section that you are given. "
    'Answer with JSON: {"pairs": [{"question": ..., "answer": ..., "question_type": ..., "evidence": ...}]}. '
    "A question names the drug and can be understood without the section. An answer is complete, exact with every "
    "number, unit, comparison and population, and adds nothing. `evidence` is one sentence copied from the section, "
    "letter for letter."
)
QUESTION_TYPES = ("fact", "explain", "counsel", "compare", "summary")
_LONGEST = 12_000  # characters of a section in a prompt; beyond it the end is cut


def messages(
    section: Section, count: int, question_types: Sequence[str], examples: Sequence[tuple[str, str]]
) -> list[dict[str, str]]:
    """The conversation for one section: instructions, examples of good answers, the section."""
    turns = [{"role": "system", "content": _SYSTEM}]
    for prompt, completion in examples:
        turns += [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
    kinds = ", ".join(question_types or QUESTION_TYPES)
    heading = section.title or codes.title_of(section.code)
    asks = (
        f"Drug: {section.drug}\nSection: {heading}\n\n{section.text[:_LONGEST]}\n\n"
        f"Write {count} pairs. Question types: {kinds}."
    )
    return [*turns, {"role": "user", "content": asks}]
