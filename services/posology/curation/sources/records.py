"""JSON files as records: one object a line, one array, one object that holds the array, or one object alone."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from posology.curation.sources import Unreadable

_WRAPPERS = (
    "data",
    "rows",
    "examples",
    "train",
    "results",
    "items",
    "records",
    "dataset",
    "pairs",
    "entries",
    "samples",
)
_SPLITS = ("train", "test", "validation", "valid", "val", "dev", "eval")
_BLANK = " \t\r\n\v\f\x1e\u2028\u2029\x85\ufeff"  # around a record; \x1e as of RFC 7464, a mark where files were joined


def json_records(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(where it stands, record) for each record; Unreadable for anything else.

    Lines end with a line feed alone (RFC 8259: U+2028, U+2029 and U+0085 may stand in a string unescaped), so
    `str.splitlines` would tear records in two.
    """
    start = text.lstrip()[:1]
    if start == "[" or (start == "{" and "\n" in text.strip() and not _is_json(_first_line(text))):
        yield from _whole(text)
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip(_BLANK):
            record = _parse(line.strip(_BLANK), f"line {number}")
            if isinstance(record, list) and number == 1 and not text[len(line) :].strip():
                yield from _listed(record)
            else:
                wrapped = _wrapped(record) if number == 1 and not text.split("\n", 1)[1:] else None
                yield from _listed(wrapped) if wrapped is not None else [_object(record, f"line {number}")]


def _whole(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """An array over many lines, or one object over many lines."""
    try:
        value = json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise Unreadable("nests JSON too deep; refused") from None
    except ValueError as error:
        if re.match(r"\s*\{", text) and re.search(r"\}\s*,?\s*\n\s*\{", text):
            raise Unreadable(f"line 1 is not JSON, and the file is no JSON array: {error}") from None
        raise Unreadable(f"line {getattr(error, 'lineno', 1)} is not JSON: {_reason(error)}") from None
    listed = value if isinstance(value, list) else _wrapped(value)
    yield from _listed(listed) if listed is not None else [_object(value, "the file")]


def _wrapped(value: Any) -> list[Any] | None:
    """The list in {"data": [...]}: an object whose only list of objects is its content."""
    if not isinstance(value, dict):
        return None
    splits = [name for name in _SPLITS if isinstance(value.get(name), list)]
    if len(splits) > 1:
        raise Unreadable(f"holds several splits ({', '.join(splits)}); make one file of the one that is meant")
    lists = [name for name in dict.fromkeys((*_WRAPPERS, *_SPLITS)) if isinstance(value.get(name), list)]
    if len(lists) == 1 and value[lists[0]] and all(isinstance(item, dict) for item in value[lists[0]]):
        return list(value[lists[0]])
    return None


def _listed(values: list[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, value in enumerate(values, 1):
        yield _object(value, f"entry {number}")


def _object(value: Any, where: str) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(value, dict):
        raise Unreadable(f"{where} is a JSON {type(value).__name__}, not an object")
    if "row_idx" in value and isinstance(value.get("row"), dict):  # as the Hub's rows API answers
        return where, value["row"]
    return where, value


def _once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names differ: of a name that stands twice, JSON readers keep one value and lose the other."""
    made = dict(fields)
    if len(made) != len(fields):
        names = [name for name, _ in fields]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it names {twice[:60]!r} twice in one object")
    return made


def _parse(line: str, where: str) -> Any:
    try:
        return json.loads(line, object_pairs_hook=_once)
    except RecursionError:
        raise Unreadable(f"{where} nests JSON too deep; refused") from None
    except ValueError as error:  # also numbers of more digits than Python converts
        raise Unreadable(f"{where} is not JSON: {_reason(error)}") from None


def _reason(error: ValueError) -> str:
    """What the JSON reader says, without advice for programmers."""
    return str(error).partition(";")[0]


def _first_line(text: str) -> str:
    return text.lstrip().split("\n", 1)[0]


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
