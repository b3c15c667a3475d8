"""Rules of the contract in the CEL of Kubernetes.

protovalidate reads a field that was left out as its zero value; Kubernetes fails there with "no such key". So every
access to an optional field is guarded, and `this.training.dpo` with `has` asks for each step of the way.
"""

import re
from typing import Any

from charts.generate.rules import is_required
from google.protobuf.descriptor import FieldDescriptor

_ACCESS = re.compile(r"(has\()?\bthis((?:\.\w+)+)(\()?")
_ZERO = {
    FieldDescriptor.CPPTYPE_STRING: "''",
    FieldDescriptor.CPPTYPE_BOOL: "false",
    FieldDescriptor.CPPTYPE_DOUBLE: "0.0",
}


def translate(expression: str, message: Any) -> str:
    """A message's rule as an x-kubernetes-validations rule on its schema."""
    return _ACCESS.sub(lambda found: _access(found, message), expression)


def _access(found: "re.Match[str]", message: Any) -> str:
    asks, names, called = bool(found[1]), found[2][1:].split("."), bool(found[3])
    method = names.pop() if called else ""
    fields = _resolve(names, message)
    if asks:
        return f"({' && '.join(_presence(fields, everything=True))}"
    reached = _guarded(fields)
    return f"{reached}.{method}(" if called else reached


def _resolve(names: list[str], message: Any) -> list[Any]:
    fields = []
    for name in names:
        field = message.fields_by_name[name]
        fields.append(field)
        message = field.message_type
    return fields


def _guarded(fields: list[Any]) -> str:
    presence = _presence(fields, everything=False)
    if not presence:
        return _path(fields)
    zero = "[]" if fields[-1].is_repeated else _ZERO.get(fields[-1].cpp_type, "0")
    return f"({' && '.join(presence)} ? {_path(fields)} : {zero})"


def _presence(fields: list[Any], *, everything: bool) -> list[str]:
    """`has()` for every step that may be missing; for all of the last step if `everything`."""
    steps = [fields[: depth + 1] for depth in range(len(fields))]
    asked = [f"has({_path(step)})" for step in steps if not is_required(step[-1]) or (everything and step == fields)]
    return asked


def _path(fields: list[Any]) -> str:
    return ".".join(["self", *(field.json_name for field in fields)])
