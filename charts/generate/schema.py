"""A message of the contract as a structural OpenAPI schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from charts.generate import cel, rules
from charts.generate.comments import in_yaml_names
from google.protobuf.descriptor import FieldDescriptor

Schema = dict[str, Any]

_SCALARS: dict[int, Schema] = {
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_INT64: {"type": "integer", "format": "int64"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.CPPTYPE_STRING: {"type": "string"},
}
_WELL_KNOWN: dict[str, Schema] = {"google.protobuf.Timestamp": {"type": "string", "format": "date-time"}}


@dataclass(frozen=True)
class Schemas:
    """Makes schemas; `comments` by full name, see `comments.read`."""

    comments: Mapping[str, str]
    bounded: bool = True
    """Whether every text and list needs a bound: yes where CEL looks, no in a status."""

    def message(self, descriptor: Any) -> Schema:
        """An object with the message's fields in the order of their numbers, and its rules."""
        fields = sorted(descriptor.fields, key=lambda field: field.number)
        found: Schema = {"type": "object", "properties": {field.json_name: self.field(field) for field in fields}}
        if required := [field.json_name for field in fields if rules.is_required(field)]:
            found["required"] = required
        if checks := [self._rule(rule, descriptor) for rule in rules.of_message(descriptor)]:
            found["x-kubernetes-validations"] = checks
        return found

    def field(self, field: Any) -> Schema:
        """One property, with the contract's comment; defaults are told in it, and written by the orchestrator."""
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            values = self._value(field.message_type.fields_by_name["value"])
            bound = {"maxProperties": 50} if self.bounded else {}
            return {
                "description": self._told(field), "type": "object", "additionalProperties": values, **bound,
            }  # fmt: skip
        value = self._value(field)
        if field.is_repeated:
            bounds = rules.of_list(rules.of(field), field) if self.bounded else {}
            value = {"type": "array", "items": value, **bounds}
        return {"description": self._told(field), **value}

    def _value(self, field: Any) -> Schema:
        if field.message_type is not None:
            known = _WELL_KNOWN.get(field.message_type.full_name)
            return dict(known) if known else self.message(field.message_type)
        if field.enum_type is not None:
            return {"type": "string", "enum": [value.name for value in field.enum_type.values if value.number]}
        limits = rules.of(field).repeated.items if field.is_repeated else rules.of(field)
        if field.cpp_type == FieldDescriptor.CPPTYPE_STRING and self.bounded and limits.WhichOneof("type") is None:
            raise rules.NotMapped(field, "no max_len")
        return {**_SCALARS[field.cpp_type], **rules.keywords(limits, field)}

    def _told(self, field: Any) -> str:
        told = in_yaml_names(self.comments[field.full_name])
        if field.enum_type is None:
            return told
        scope = field.enum_type.full_name
        values = [
            f"{value.name}: {self.comments[f'{scope}.{value.name}'].rstrip('.')}"
            for value in field.enum_type.values
            if f"{scope}.{value.name}" in self.comments and value.number
        ]
        return "\n".join([told, *(f"- {value}" for value in values)])

    def _rule(self, rule: Any, descriptor: Any) -> Schema:
        return {"rule": cel.translate(rule.expression, descriptor), "message": rule.message}
