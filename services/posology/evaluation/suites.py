"""The items of a suite: JSON lines, or a public benchmark as it is published, with every wrong line named."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from posology.core.errors import InvalidInput, Violation
from posology.evaluation import benchmarks
from posology.evaluation.benchmarks.files import plain, tables
from posology.evaluation.domain import SuiteKind
from posology.evaluation.facts import is_checkable, quantities
from posology.evaluation.questions import Item, Prompt, Question, is_unicode, normal_form

__all__ = ["Item", "Prompt", "Question", "parse"]

_LOG = logging.getLogger(__name__)

MOST_SHOWN = 20
"""Wrong lines that one error names."""

_ONE_SIDED = (
    "needs prompts to refuse and prompts to answer: a model that refuses all would pass; "
    "a benchmark that has one side alone can lie in one zip with another (MedSafetyBench with XSTest)"
)


def parse(content: bytes, kind: SuiteKind, *, name: str) -> tuple[Item, ...]:
    """Items in the file's order; InvalidInput names file and line of what is wrong, and what is allowed."""
    content = plain(content, name)
    form = SuiteKind.MULTIPLE_CHOICE if kind.questions else kind
    if kind is SuiteKind.LM_EVAL:
        return _rows(content, name)
    published = None if kind in _OWN_FORM else benchmarks.read(content, form, name=name)
    if published is None:
        items, wrong = _own_lines(content, kind, name)
    else:
        items, wrong = list(published.items), list(published.wrong)
        if published.dropped:
            _LOG.warning("%s: %d items have two equal options and are left out", name, published.dropped)
    wrong += _violations_of_the_whole(items, kind, name)
    if wrong:
        raise InvalidInput.of(wrong[:MOST_SHOWN])
    return tuple(items)


def records(content: bytes, name: str) -> tuple[Mapping[str, Any], ...]:
    """The rows of a data set; InvalidInput for a file that has none, or a line that is no object."""
    rows: list[Mapping[str, Any]] = []
    wrong: list[Violation] = []
    for table in tables(plain(content, name), name):
        place = f"{name}: {table.name}" if table.name else name
        wrong += [Violation(f"{place}:{row}", "is no JSON object") for row in table.broken]
        rows += [record for _, record in table.records]
    if not rows and not wrong:
        wrong.append(Violation(name, "holds no rows"))
    if wrong:
        raise InvalidInput.of(wrong[:MOST_SHOWN])
    return tuple(rows)


def _rows(content: bytes, name: str) -> tuple[Item, ...]:
    """Rows as prompts, for counting, and for parity: the longest text of each; the task makes its own of them."""
    items = []
    for number, record in enumerate(records(content, name)):
        texts = [value for value in record.values() if isinstance(value, str) and is_unicode(value)]
        items.append(Prompt(str(number), max(texts, key=len, default="") or f"Row {number}.", unsafe=False))
    return tuple(items)


def _own_lines(content: bytes, kind: SuiteKind, name: str) -> tuple[list[Item], list[Violation]]:
    items: list[Item] = []
    wrong: list[Violation] = []
    try:
        lines = content.decode("utf-8-sig").split("\n")  # U+2028 may stand in a text; it ends no line of JSON
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                items.append(_READERS[kind](_object(line)))
            except (ValueError, TypeError) as error:
                wrong.append(Violation(f"{name}:{number}", str(error)))
    return items, wrong


def _object(line: str) -> Mapping[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"is no JSON ({error})") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if not isinstance(record, dict):
        raise ValueError("is no JSON object")
    return record


def _question(values: Mapping[str, Any]) -> Question:
    choices, answer = values.get("choices"), values.get("answer")
    if not isinstance(choices, list) or not 2 <= len(choices) <= 26 or not all(isinstance(c, str) for c in choices):
        raise ValueError("choices must be a list of 2 to 26 texts")
    forms = {normal_form(choice) for choice in choices}
    if len(forms) < len(choices) or "" in forms:
        raise ValueError("choices must differ in more than spaces or a final full stop, and none may be empty")
    if not all(map(is_unicode, choices)):
        raise ValueError("choices hold half of a surrogate pair, which is no character")
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


def _query(values: Mapping[str, Any]) -> Prompt:
    """A question for people, or one that was recorded: the turn of the user."""
    text = next((values[key] for key in ("prompt", "question") if values.get(key)), None)
    if text is None and isinstance(turns := values.get("messages"), list):
        asked = [t.get("content") for t in turns if isinstance(t, dict) and t.get("role") == "user"]
        if len(asked) != 1:
            raise ValueError(f"messages has {len(asked)} turns of a user; questions of one turn are rated")
        [text] = asked
    if not isinstance(text, str) or not text.strip():
        raise ValueError("prompt (or question, or messages with one turn of the user) must be a text and not empty")
    if not is_unicode(text):
        raise ValueError("prompt holds half of a surrogate pair, which is no character")
    identity = _text(values, "id", optional=True) or sha256(text.encode()).hexdigest()[:16]
    return Prompt(identity, text, unsafe=False, cluster=_text(values, "cluster", optional=True))


def _open_question(values: Mapping[str, Any]) -> Prompt:
    facts = values.get("facts")
    if not isinstance(facts, list) or not 1 <= len(facts) <= 20:
        raise ValueError("facts must be a list of 1 to 20 texts, or of {value, negated}")
    return replace(_query(values), facts=tuple(_fact(fact) for fact in facts))


def _fact(fact: Any) -> tuple[str, bool]:
    value, negated = (fact.get("value"), fact.get("negated", False)) if isinstance(fact, dict) else (fact, False)
    if not isinstance(value, str) or not is_unicode(value) or not is_checkable(value):
        raise ValueError("a fact must be a text with a word or a number in it")
    if type(negated) is not bool:
        raise ValueError("negated must be true or false")
    return value, negated


def _scope_question(values: Mapping[str, Any]) -> Prompt:
    doses = values.get("doses", [])
    if not isinstance(doses, list) or not all(isinstance(dose, str) and quantities(dose) for dose in doses):
        raise ValueError('doses must be a list of amounts with their units, such as "500 mg"')
    return replace(_query(values), doses=tuple(doses))


_OWN_FORM = (SuiteKind.HUMAN, SuiteKind.JUDGED, SuiteKind.FACTS, SuiteKind.SCOPE)
_READERS: Mapping[SuiteKind, Callable[[Mapping[str, Any]], Item]] = {
    SuiteKind.MULTIPLE_CHOICE: _question,
    SuiteKind.SYCOPHANCY: _question,
    SuiteKind.REFUSAL: _prompt,
    SuiteKind.HUMAN: _query,
    SuiteKind.JUDGED: _query,
    SuiteKind.FACTS: _open_question,
    SuiteKind.SCOPE: _scope_question,
}


def _text(values: Mapping[str, Any], key: str, *, optional: bool = False) -> str:
    text = values.get(key, "" if optional else None)
    if not isinstance(text, str) or not (text or optional):
        raise ValueError(f"{key} must be a text" + ("" if optional else " and not empty"))
    if not is_unicode(text):
        raise ValueError(f"{key} holds half of a surrogate pair, which is no character")
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
        yield Violation(name, _ONE_SIDED)
