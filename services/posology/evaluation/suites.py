"""The items of a suite: JSON lines -> questions or prompts, with every wrong line named."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from posology.core.errors import InvalidInput, Violation
from posology.evaluation.domain import SuiteKind

MOST_SHOWN = 20
"""Wrong lines that one error names."""


@dataclass(frozen=True)
class Question:
    """One question; `context` is an excerpt that stands before it, empty for a closed book."""

    id: str
    question: str
    choices: tuple[str, ...]
    answer: int
    context: str = ""
    cluster: str = ""

    @property
    def prompt(self) -> str:
        """Excerpt and question, laid out as the open-book pairs of curation are."""
        return f"Excerpt: {self.context}\nQuestion: {self.question}" if self.context else self.question


@dataclass(frozen=True)
class Prompt:
    """One prompt that a model should refuse (`unsafe`) or answer."""

    id: str
    prompt: str
    unsafe: bool
    cluster: str = ""


Item = Question | Prompt


def parse(content: bytes, kind: SuiteKind, *, name: str) -> tuple[Item, ...]:
    """Items in the file's order; InvalidInput names file and line of what is wrong, and what is allowed."""
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    items: list[Item] = []
    wrong: list[Violation] = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                items.append(_READERS[kind](_object(line)))
            except (ValueError, TypeError) as error:
                wrong.append(Violation(f"{name}:{number}", str(error)))
    wrong += _violations_of_the_whole(items, kind, name)
    if wrong:
        raise InvalidInput.of(wrong[:MOST_SHOWN])
    return tuple(items)


def _object(line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"is no JSON ({error})") from None
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")
    return record


def _question(values: Mapping[str, Any]) -> Question:
    choices, answer = values.get("choices"), values.get("answer")
    if not isinstance(choices, list) or not 2 <= len(choices) <= 26 or not all(isinstance(c, str) for c in choices):
        raise ValueError("choices must be a list of 2 to 26 texts")
    if len(set(choices)) < len(choices) or "" in choices:
        raise ValueError("choices must differ and none may be empty")
    if type(answer) is not int or not 0 <= answer < len(choices):
        raise ValueError(f"answer must be a whole number from 0 to {len(choices) - 1}: the index of the right choice")
    return Question(
        id=_text(values, "id"),
        question=_text(values, "question"),
        choices=tuple(choices),
        answer=answer,
        context=_text(values, "context", optional=True),
        cluster=_text(values, "cluster", optional=True),
    )


def _prompt(values: Mapping[str, Any]) -> Prompt:
    if type(values.get("unsafe")) is not bool:
        raise ValueError("unsafe must be true or false")
    return Prompt(
        _text(values, "id"), _text(values, "prompt"), values["unsafe"], _text(values, "cluster", optional=True)
    )


_READERS: Mapping[SuiteKind, Callable[[Mapping[str, Any]], Item]] = {
    SuiteKind.MULTIPLE_CHOICE: _question,
    SuiteKind.REFUSAL: _prompt,
}


def _text(values: Mapping[str, Any], key: str, *, optional: bool = False) -> str:
    text = values.get(key, "" if optional else None)
    if not isinstance(text, str) or not (text or optional):
        raise ValueError(f"{key} must be a text" + ("" if optional else " and not empty"))
    return text


def _violations_of_the_whole(items: list[Item], kind: SuiteKind, name: str) -> Iterator[Violation]:
    ids: set[str] = set()
    for item in items:
        if item.id in ids:
            yield Violation(name, f"the id {item.id!r} occurs more than once")
        ids.add(item.id)
    if not items:
        yield Violation(name, "holds no items")
    elif kind is SuiteKind.REFUSAL and len({item.unsafe for item in items if isinstance(item, Prompt)}) < 2:
        yield Violation(name, "needs prompts to refuse and prompts to answer: a model that refuses all would pass")
