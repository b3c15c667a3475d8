"""JSON files as records: one object a line, one array, one object that holds the array, or one object alone."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from posology.curation.sources import Unreadable

_WRAPPERS = ("data", "rows", "examples", "train", "results", "items", "records", "dataset")


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
        if line.strip():
            record = _parse(line.strip(), f"line {number}")
            if isinstance(record, list) and number == 1 and not text[len(line) :].strip():
                yield from _listed(record)
            else:
                wrapped = _wrapped(record) if number == 1 and not text.split("\n", 1)[1:] else None
                yield from _listed(wrapped) if wrapped is not None else [_object(record, f"line {number}")]


def _whole(text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """An array over many lines, or one object over many lines."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise Unreadable("nests JSON too deep; refused") from None
    except ValueError as error:
        if re.match(r"\s*\{", text) and re.search(r"\}\s*,?\s*\n\s*\{", text):
            raise Unreadable(f"line 1 is not JSON, and the file is no JSON array: {error}") from None
        raise Unreadable(f"line {getattr(error, 'lineno', 1)} is not JSON: {error}") from None
    listed = value if isinstance(value, list) else _wrapped(value)
    yield from _listed(listed) if listed is not None else [_object(value, "the file")]


def _wrapped(value: Any) -> list[Any] | None:
    """The list in {"data": [...]}: an object whose only list of objects is its content."""
    if not isinstance(value, dict):
        return None
    lists = [name for name in _WRAPPERS if isinstance(value.get(name), list)]
    if len(lists) == 1 and value[lists[0]] and all(isinstance(item, dict) for item in value[lists[0]]):
        return list(value[lists[0]])
    return None


def _listed(values: list[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, value in enumerate(values, 1):
        yield _object(value, f"entry {number}")


def _object(value: Any, where: str) -> tuple[str, Mapping[str, Any]]:
    if not isinstance(value, dict):
        raise Unreadable(f"{where} is a JSON {type(value).__name__}, not an object")
    return where, value


def _parse(line: str, where: str) -> Any:
    try:
        return json.loads(line)
    except RecursionError:
        raise Unreadable(f"{where} nests JSON too deep; refused") from None
    except ValueError as error:  # also numbers of more digits than Python converts
        raise Unreadable(f"{where} is not JSON: {error}") from None


def _first_line(text: str) -> str:
    return text.lstrip().split("\n", 1)[0]


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True
