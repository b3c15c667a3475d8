"""Examples of good answers: read, and judged before they are shown to a teacher, since it copies their faults too."""

import json
from collections.abc import Iterable

from posology.core.errors import InvalidInput, Violation
from posology.core.visible import hidden
from posology.curation.sources.characters import clean
from posology.curation.sources.jsonl import NoPair, read_pairs
from posology.curation.text.refusal import refuses

FEWEST = 20
_FIELD = "spec.curation.behaviour.examples"


def read_examples(lines: Iterable[str], *, allow_few: bool = False) -> tuple[tuple[str, str], ...]:
    """(question, answer) of every example, JSON records a line.

    InvalidInput names every record that is no pair, repeats another, refuses, or holds characters that nobody sees;
    and fewer than 20, unless they are allowed.
    """
    examples: dict[tuple[str, str], int] = {}
    problems: list[str] = []
    for number, line in enumerate(filter(str.strip, lines), 1):
        try:
            pairs = read_pairs(json.loads(line), source="behaviour")
        except NoPair as reason:
            problems.append(f"record {number} {reason}")
            continue
        for pair in pairs:
            example = (clean(pair.question), clean(pair.answer))
            if character := next(filter(None, map(hidden, example)), ""):
                problems.append(f"record {number} holds {character}, which a reader does not see")
            elif example in examples:
                problems.append(f"record {number} repeats record {examples[example]}")
            elif refuses(example[1]) and "refusal" not in pair.tags:
                problems.append(f"record {number} refuses to answer; tag it refusal if that is what is wanted")
            else:
                examples[example] = number
    if len(examples) < FEWEST and not allow_few:
        problems.append(
            f"{len(examples)} usable examples, {FEWEST} or more show a teacher what good looks like; write more, or "
            "set behaviour.allowFew"
        )
    if problems:
        raise InvalidInput.of([Violation(_FIELD, "; ".join(problems[:10]))])
    return tuple(examples)
