"""A client's bytes as JSON that every later step can hold: Unicode text, finite numbers, a bounded size.

Python's own reader lets through what breaks further on: half an emoji (`\\ud83d`) that no database stores and no
socket sends, NUL, which PostgreSQL has no room for, and numbers of any length.
"""

import json
import math
from collections.abc import Iterator
from typing import Any

from posology.core.errors import InvalidInput, Violation

_DIGITS = 32
"""No field holds a longer whole number; Python takes quadratic time to read a long one."""
_SHOWN = 60


def read(raw: bytes) -> dict[str, Any]:
    """The object that `raw` holds, without its nulls; InvalidInput when it is none, or names the field at fault."""
    try:
        body = json.loads(
            raw.decode("utf-8-sig"),
            parse_int=_whole,
            parse_float=_finite,
            parse_constant=_constant,
            object_pairs_hook=_once,
        )
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the body is not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise InvalidInput("the body is nested too deep") from error
    except json.JSONDecodeError as error:
        raise InvalidInput(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise InvalidInput("the body must be a JSON object")
    if faults := [Violation(path, why) for path, why in _unfit_texts(body)]:
        raise InvalidInput.of(faults[:1])
    return {name: value for name, value in body.items() if value is not None}


def _once(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name that stands twice is refused: what checks a request on its way may read the other value."""
    made = dict(fields)
    if len(made) != len(fields):
        names = [name for name, _ in fields]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"the body names {twice[:_SHOWN].encode('utf-8', 'replace').decode()!r} twice in one object")
    return made


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise InvalidInput(f"the body holds a number of {len(digits)} digits; at most {_DIGITS} are read")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise InvalidInput(f"the body holds the number {digits[:_SHOWN]}, which is too large")
    return number


def _constant(word: str) -> float:
    raise InvalidInput(f"the body holds {word}, which is no JSON")


def _unfit_texts(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and reason of each text that can't be stored or sent; a stack, because bodies may be nested deep."""
    stack: list[tuple[str, Any]] = [("", body)]
    while stack:
        path, value = stack.pop()
        if isinstance(value, str):
            if (why := unfit(value)) is not None:
                yield path, why
        elif isinstance(value, list):
            stack.extend((f"{path}[{i}]", item) for i, item in enumerate(value))
        elif isinstance(value, dict):
            for name, item in value.items():
                if unfit(name) is not None:
                    yield path or "body", "has a field whose name is no Unicode text"
                stack.append((f"{path}.{name}" if path else name, item))


def unfit(text: str) -> str | None:
    """Why a text can't be stored or sent; None when it can."""
    if "\x00" in text:
        return "holds the character NUL"
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"holds half a character (a lone surrogate) at position {error.start}; it is no Unicode text"
    return None
