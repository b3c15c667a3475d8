"""JSON with one spelling: the same value gives the same bytes on every machine and in every version."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from posology.core.errors import InvalidInput

_NUMBER = re.compile(r"(-?)(\d)(?:\.(\d+))?e([+-]\d+)")


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON after RFC 8785: sorted keys, no spaces, numbers as ECMAScript writes them.

    One thing differs on purpose: integers beyond 2**53 keep their digits (seeds are 64-bit).
    NaN, infinities, lone surrogates, keys that are no strings and foreign types are InvalidInput.
    """
    try:
        return _write(value, "value").encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(f"text that is not Unicode has no canonical JSON: {error.reason}") from error


def canonical_digest(value: Any) -> str:
    """`sha256:<hex>` of the canonical JSON of `value`."""
    return "sha256:" + hashlib.sha256(canonical_json(value)).hexdigest()


def _write(value: Any, path: str) -> str:
    if value is None or isinstance(value, bool | str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _write_float(value, path)
    if isinstance(value, Mapping):
        return "{" + ",".join(_write_items(value, path)) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ",".join(_write(item, f"{path}[{i}]") for i, item in enumerate(value)) + "]"
    raise InvalidInput(f"{path} is a {type(value).__name__}, which JSON can't hold")


def _write_items(value: Mapping[Any, Any], path: str) -> list[str]:
    for key in value:
        if not isinstance(key, str):
            raise InvalidInput(f"{path} has the key {key!r}; keys must be text")
    ordered = sorted(value, key=lambda key: key.encode("utf-16-be"))  # RFC 8785 3.2.3: by UTF-16 code units
    return [f"{json.dumps(key, ensure_ascii=False)}:{_write(value[key], f'{path}.{key}')}" for key in ordered]


def _write_float(value: float, path: str) -> str:
    """ECMAScript's Number::toString: 1.0 is `1`, 1e-05 is `0.00001`, 1e22 is `1e+22`."""
    if not math.isfinite(value):
        raise InvalidInput(f"{path} is {value}, which JSON can't hold")
    if value == 0:
        return "0"
    sign, digits, exponent = _shortest(value)
    point = exponent + 1  # where the decimal point falls in `digits`
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if exponent > 0 else '-'}{abs(exponent)}"


def _shortest(value: float) -> tuple[str, str, int]:
    """Sign, shortest digits that read back as `value`, and the exponent of the first digit."""
    for precision in range(17):
        text = f"{value:.{precision}e}"
        if float(text) == value:
            break
    found = _NUMBER.fullmatch(text)
    assert found is not None  # the format above always has this shape
    sign, first, rest, exponent = found.groups()
    return sign, (first + (rest or "")).rstrip("0"), int(exponent)
