"""From what a user writes to a protobuf message: names checked, defaults written, everything wrong said at once."""

import difflib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

import protovalidate
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from posology.core.errors import InvalidInput, Violation
from posology.v1alpha1 import defaults_pb2

M = TypeVar("M", bound=Message)
Descriptor = Any  # protobuf has two implementations of descriptors, without a common base class
Field = Any

# JSON types that each scalar field takes; protobuf's JSON mapping also takes numbers as strings, people should not.
_NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: (int,),
    FieldDescriptor.CPPTYPE_INT64: (int,),
    FieldDescriptor.CPPTYPE_UINT32: (int,),
    FieldDescriptor.CPPTYPE_UINT64: (int,),
    FieldDescriptor.CPPTYPE_DOUBLE: (int, float),
    FieldDescriptor.CPPTYPE_FLOAT: (int, float),
}
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_SAID: dict[tuple[type, ...], str] = {
    (int,): "a whole number",
    (int, float): "a number",
    (bool,): "true or false",
    (str,): "a text",
}


def parse(message_type: type[M], mapping: object, *, at: str = "spec") -> M:
    """A message from its JSON mapping, as YAML gives it.

    Unknown keys name the nearest valid one. Raises InvalidInput with every violation, each with its path below `at`.
    Defaults are not written: that happens once, at admission (`apply_defaults`).
    """
    found = list(_misfits(message_type.DESCRIPTOR, mapping, at))
    if found:
        raise InvalidInput.of(found)
    try:
        return json_format.ParseDict(dict(mapping), message_type())  # type: ignore[call-overload]
    except json_format.ParseError as error:
        raise InvalidInput.of([_placed(error, at)]) from error


def _placed(error: json_format.ParseError, at: str) -> Violation:
    """protobuf's error, which ends in the message's path, as one with our path, cut to 200 characters."""
    text, _, path = str(error).rpartition(" at ")
    inner = path.strip().rstrip(".").partition(".")[2] if text else ""
    return Violation(f"{at}.{inner}" if inner else at, (text or str(error)).rpartition("field: ")[2][:200])


def apply_defaults(message: Message) -> None:
    """Write the stated default into every field that was left out, depth first; an explicit 0 stays 0."""
    for field in message.DESCRIPTOR.fields:
        if _absent(message, field):
            _write_default(message, field)
        for child in _children(message, field):
            apply_defaults(child)


def violations(message: Message, *, at: str = "") -> list[Violation]:
    """What the contract's constraints say against the message; paths are those of its JSON mapping."""
    return [_violation(found.proto, message.DESCRIPTOR, at) for found in protovalidate.collect_violations(message)]


def validate(message: Message, *, at: str = "") -> None:
    """Raise InvalidInput with every violation of the contract's constraints."""
    if found := violations(message, at=at):
        raise InvalidInput.of(found)


def to_mapping(message: Message) -> dict[str, Any]:
    """The JSON mapping of a message, as a user would write it."""
    return json_format.MessageToDict(message)


# --- names and types -------------------------------------------------------------------------------


def _misfits(descriptor: Descriptor, value: object, path: str) -> Iterator[Violation]:
    if not isinstance(value, Mapping):
        yield Violation(path, f"must be a mapping with keys such as {_some(_names(descriptor))}, not {_kind(value)}")
        return
    names = [str(key) for key in value]
    fields = {**{f.name: f for f in descriptor.fields}, **{f.json_name: f for f in descriptor.fields}}
    for key, item in value.items():
        field = fields.get(str(key))
        if field is None:
            yield Violation(f"{path}.{key}", _unknown(str(key), _names(descriptor)))
        elif key != field.json_name and field.json_name in names:
            yield Violation(f"{path}.{key}", f"says the same as {field.json_name}, which is there too; keep that one")
        elif item is not None:
            yield from _field_misfits(field, item, f"{path}.{key}")


def _field_misfits(field: Field, value: object, path: str) -> Iterator[Violation]:
    if _is_map(field):
        if not isinstance(value, Mapping):
            yield Violation(path, f"must be a mapping, not {_kind(value)}")
    elif not field.is_repeated:
        yield from _single_misfits(field, value, path)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _single_misfits(field, item, f"{path}[{index}]")
    else:
        yield Violation(path, f"must be a list, not {_kind(value)}")


def _single_misfits(field: Field, value: object, path: str) -> Iterator[Violation]:
    if field.message_type is not None:
        if not field.message_type.full_name.startswith("google.protobuf."):
            yield from _misfits(field.message_type, value, path)
    elif field.enum_type is not None:
        yield from _enum_misfits(field.enum_type, value, path)
    else:
        wanted = _scalar_types(field)
        if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
            yield Violation(path, f"must be {_SAID[wanted]}, not {_kind(value)}{_hint(value, wanted)}")
        elif unfit := _unfit(field, value):
            yield Violation(path, unfit)


def _unfit(field: Field, value: object) -> str:
    """Why a value of the right type can't be held: too large a number, or a text that is no Unicode."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            return f"holds half a character (a lone surrogate) at position {error.start}"
    elif isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    elif isinstance(value, int) and field.cpp_type in _RANGES:
        low, high = _RANGES[field.cpp_type]
        if not low <= value <= high:
            return f"must be a whole number from {low} to {high}"
    return ""


def _enum_misfits(enum: Descriptor, value: object, path: str) -> Iterator[Violation]:
    names = [v.name for v in enum.values if v.number]
    if value not in names:
        near = difflib.get_close_matches(str(value).upper(), names, n=1)
        meant = f"; did you mean {near[0]}?" if near else ""
        yield Violation(path, f"{value!r} is not one of {', '.join(names)}{meant}")


def _scalar_types(field: Field) -> tuple[type, ...]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return (bool,)
    return _NUMBERS.get(field.cpp_type, (str,))


def _hint(value: object, wanted: tuple[type, ...]) -> str:
    """YAML 1.1 reads 2e-4 as a text; say so, since the recipe's own rates are written that way."""
    if isinstance(value, str) and float in wanted:
        try:
            return f"; write {float(value)!r}"
        except ValueError:
            return ""
    return ""


def _unknown(key: str, names: list[str]) -> str:
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    return f"unknown field; did you mean {near[0]}?" if near else f"unknown field; allowed are {', '.join(names)}"


def _names(descriptor: Descriptor) -> list[str]:
    return [field.json_name for field in descriptor.fields]


def _some(names: list[str]) -> str:
    return ", ".join(names[:4])


def _kind(value: object) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)


# --- defaults --------------------------------------------------------------------------------------


def _absent(message: Message, field: Field) -> bool:
    return not len(getattr(message, field.name)) if field.is_repeated else (
        field.has_presence and not message.HasField(field.name)
    )  # fmt: skip


def _write_default(message: Message, field: Field) -> None:
    stated = field.GetOptions().Extensions[defaults_pb2.default_value]
    if stated:
        json_format.ParseDict({field.name: json.loads(stated)}, message)
        if field.message_type is not None and not field.is_repeated:
            getattr(message, field.name).SetInParent()


def _children(message: Message, field: Field) -> list[Message]:
    if field.message_type is None or _is_map(field):
        return []
    if field.is_repeated:
        return list(getattr(message, field.name))
    return [getattr(message, field.name)] if message.HasField(field.name) else []


def _is_map(field: Field) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


# --- constraints -----------------------------------------------------------------------------------


def _violation(found: Any, descriptor: Descriptor, at: str) -> Violation:
    path, here = at, descriptor
    for element in found.field.elements if found.field else ():
        field = here.fields_by_name.get(element.field_name)
        path += ("." if path else "") + (field.json_name if field else element.field_name)
        if element.subscript is not None:
            path += f"[{element.subscript.value}]"
        here = field.message_type if field is not None and field.message_type is not None else here
    return Violation(path, found.message or found.rule_id)
