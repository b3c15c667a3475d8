"""protovalidate's constraints as OpenAPI keywords; one that is not mapped stops the generator."""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from posology.v1alpha1.buf.validate import validate_pb2

_NUMBERS = ("int32", "int64", "uint32", "double", "float")
_BOUNDS: dict[str, dict[str, Any]] = {
    "gte": {"minimum": None},
    "gt": {"minimum": None, "exclusiveMinimum": True},
    "lte": {"maximum": None},
    "lt": {"maximum": None, "exclusiveMaximum": True},
}
_WORDS = {"min_len": "minLength", "max_len": "maxLength", "pattern": "pattern"}
_LISTS = {"min_items": "minItems", "max_items": "maxItems"}


def of(field: Any) -> Any:
    """The constraints on a field."""
    return field.GetOptions().Extensions[validate_pb2.field]  # type: ignore[attr-defined]  # generated without stubs


def of_message(message: Any) -> Any:
    """The rules across a message's fields."""
    return message.GetOptions().Extensions[validate_pb2.message].cel  # type: ignore[attr-defined]  # generated without stubs


def is_required(field: Any) -> bool:
    """Whether a user must write the field: it has no default, and the zero value is refused."""
    rules = of(field)
    if field.is_repeated:
        return bool(rules.repeated.min_items)
    return bool(rules.required or rules.string.min_len or 0 in rules.enum.not_in)


def keywords(rules: Any, field: Any) -> dict[str, Any]:
    """OpenAPI keywords of a single value."""
    kind = rules.WhichOneof("type")
    if kind is None or kind == "enum":
        return {}
    if kind in _NUMBERS:
        return _of_number(getattr(rules, kind), field)
    if kind == "string":
        return _of_text(rules.string, field)
    raise NotMapped(field, kind)


def of_list(rules: Any, field: Any) -> dict[str, Any]:
    """OpenAPI keywords of a list."""
    found = {_LISTS[name]: int(getattr(rules.repeated, name)) for name in _LISTS if rules.repeated.HasField(name)}
    unknown = {rule.name for rule, _ in rules.repeated.ListFields()} - {*_LISTS, "items"}
    if unknown or "maxItems" not in found:
        raise NotMapped(field, ", ".join(sorted(unknown)) or "no max_items")
    return found


class NotMapped(ValueError):
    """A constraint that has no counterpart here, or a bound that CEL needs and the contract lacks."""

    def __init__(self, field: Any, rule: str) -> None:
        super().__init__(
            f"{field.full_name}: {rule} is not mapped to the custom resource; see charts/generate/rules.py"
        )


def _of_number(rules: Any, field: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for rule, value in rules.ListFields():
        if rule.name not in _BOUNDS:
            raise NotMapped(field, rule.name)
        whole = field.cpp_type != FieldDescriptor.CPPTYPE_DOUBLE or value == int(value)
        bound = int(value) if whole else value
        found |= {key: bound if fixed is None else fixed for key, fixed in _BOUNDS[rule.name].items()}
    return found


def _of_text(rules: Any, field: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for rule, value in rules.ListFields():
        if rule.name == "in":
            found["enum"] = list(value)
        elif rule.name in _WORDS:
            found[_WORDS[rule.name]] = value
        else:
            raise NotMapped(field, rule.name)
    if not {"maxLength", "enum"} & set(found):
        raise NotMapped(field, "no max_len")
    return found
