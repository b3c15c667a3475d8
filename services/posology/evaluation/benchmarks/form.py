"""What a published form is, and the checks that all of them share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item, Prompt, Question, is_unicode, normal_form

Record = Mapping[str, Any]
ReadOne = Callable[[Record, str], Item]
"""(record, id where it has none) -> item; ValueError says what is wrong, EqualOptions that it cannot be scored."""


@dataclass(frozen=True)
class Form:
    """One published form. `reader` sees every record of a file first: some files say what they mean only as a whole."""

    name: str
    kind: SuiteKind
    fields: str
    """The fields that it is known by, as a message shows them."""
    fits: Callable[[frozenset[str]], bool]
    reader: Callable[[Sequence[Record]], ReadOne]


class EqualOptions(ValueError):
    """Two options are the same text: no model can tell which of them is right."""


class NoAnswer(ValueError):
    """The right answer is not in the file: a test split whose labels are kept back."""


def question(
    identity: str, stem: str, choices: Sequence[Any], answer: int, *, context: str = "", cluster: str = ""
) -> Question:
    """A checked question."""
    if not 2 <= len(choices) <= 26:
        raise ValueError(f"has {len(choices)} options; 2 to 26 are read")
    texts = tuple(_checked(choice, "an option") for choice in choices)
    if len({normal_form(choice) for choice in texts}) < len(texts):
        raise EqualOptions("has two equal options")
    if not 0 <= answer < len(texts):
        raise ValueError(f"names option {answer + 1} of {len(texts)} as the right one")
    return Question(identity, stem, texts, answer, context, cluster)


def prompt(identity: str, text: str, *, unsafe: bool, cluster: str = "") -> Prompt:
    """A prompt."""
    return Prompt(identity, text, unsafe, cluster)


def spread(stem: str, right: str, wrong: Sequence[str]) -> tuple[list[str], int]:
    """Options in an order that the texts decide: where the right one always comes first, its place would tell."""
    options = sorted([right, *wrong], key=lambda option: sha256(f"{stem}\0{option}".encode()).digest())
    return options, options.index(right)


def text(record: Record, field: str) -> str:
    """The field's text."""
    return _checked(record.get(field), field)


def optional(record: Record, *fields: str) -> str:
    """The first of these fields that is a text or a whole number, empty where none is."""
    for field in fields:
        value = record.get(field)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
            return str(value)
        if isinstance(value, str) and value.strip() and len(value) <= 1000 and is_unicode(value):
            return value.strip()
    return ""


def letter(record: Record, field: str, letters: Sequence[str]) -> int:
    """Place of the letter that the field holds."""
    value = record.get(field)
    if value is None or value == "":
        raise NoAnswer(f"{field} is empty")
    if not isinstance(value, str) or value.strip() not in letters:
        raise ValueError(f"{field} must be one of {ascii(list(letters))[:200]}")
    return list(letters).index(value.strip())


def number(record: Record, field: str) -> int:
    """The whole number that the field holds, also where it stands as text."""
    value = record.get(field)
    if value is None or value in ("", -1, "-1"):
        raise NoAnswer(f"{field} is {value!r}")
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 10:
        return int(value)
    if type(value) is not int or not 0 <= value < 10**9:
        raise ValueError(f"{field} must be a small whole number")
    return value


def _checked(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{field} must be a text and not empty")
    if not is_unicode(value):
        raise ValueError(f"{field} holds half of a surrogate pair, which is no character")
    return value.strip()
