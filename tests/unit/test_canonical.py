"""Equal values have equal bytes and digests; different values don't."""

import json
import math
import shutil
import struct
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posology.core.canonical import canonical_digest, canonical_json
from posology.core.errors import InvalidInput

# ECMAScript writes floats between 2**53 and 1e21 with zeros for digits that a double can't hold.
FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not 2**53 < abs(x) < 1e21)
NUMBERS = st.integers(-(2**63), 2**63) | FLOATS
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
    max_leaves=20,
)
# RFC 8785, appendix B: the bits of a double, and how ECMAScript writes it.
SAMPLES = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}


@given(VALUES)
def test_what_is_written_reads_back(value: Any) -> None:
    assert json.loads(canonical_json(value)) == value


@given(VALUES)
def test_writing_is_stable(value: Any) -> None:
    written = canonical_json(value)
    assert canonical_json(json.loads(written)) == written


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), NUMBERS, min_size=2), st.randoms())
def test_the_order_of_keys_means_nothing(value: dict[str, Any], random: Any) -> None:
    keys = list(value)
    random.shuffle(keys)
    assert canonical_digest({key: value[key] for key in keys}) == canonical_digest(value)


@given(VALUES, VALUES)
def test_different_values_have_different_digests(one: Any, two: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)
    assert (canonical_json(one) == canonical_json(two)) or not same


@given(st.integers(-(2**53), 2**53))
def test_a_whole_float_is_written_like_the_integer(number: int) -> None:
    assert canonical_json(float(number)) == canonical_json(number)


@pytest.mark.parametrize(("bits", "expected"), SAMPLES.items())
def test_numbers_are_written_as_rfc_8785_says(bits: str, expected: str) -> None:
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical_json(value).decode() == expected


def test_numbers_are_written_as_javascript_does() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node here")
    values = [math.ldexp(1 + i / 7, i * 3 - 300) for i in range(200)] + [i / 1000 for i in range(-50, 50)]
    program = "console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0))))"
    done = subprocess.run([node, "-e", program], input=json.dumps(values), capture_output=True, text=True, check=True)
    assert canonical_json(values).decode() == done.stdout.strip()


def test_keys_are_sorted_by_utf_16_units() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    expected = ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]  # RFC 8785, 3.2.3
    assert list(json.loads(canonical_json(dict.fromkeys(keys, 0)))) == expected


@pytest.mark.parametrize("value", [math.nan, math.inf, {1: 2}, {"a": {3}}, b"bytes", "\ud800", {"a": [object()]}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInput):
        canonical_json(value)


def test_the_place_of_a_bad_value_is_named() -> None:
    with pytest.raises(InvalidInput, match=r"value\.training\.rates\[1\] is nan"):
        canonical_json({"training": {"rates": [1, math.nan]}})
