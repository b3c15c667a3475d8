"""Comments of the contract, by full name of what they describe."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.descriptor_pb2 import FileDescriptorSet

Path = tuple[int, ...]

_MESSAGES, _ENUMS = 4, 5  # field numbers in FileDescriptorProto
_FIELDS, _NESTED_MESSAGES, _NESTED_ENUMS = 2, 3, 4  # in DescriptorProto
_VALUES = 2  # in EnumDescriptorProto


def read(files: FileDescriptorSet) -> dict[str, str]:
    """Comment of every message, field, enum and enum value: full name -> one paragraph."""
    found = {}
    for file in files.file:
        told = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for path, name in _named(file):
            if told.get(path):
                found[f"{file.package}.{name}"] = " ".join(told[path].split())
    return found


def in_yaml_names(comment: str) -> str:
    """The comment as a YAML author reads it: `max_steps` is maxSteps."""
    return re.sub(r"`([a-z]+(?:_[a-z]+)+)`", lambda word: f"`{_camel(word[1])}`", comment)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _named(file: Any) -> Iterator[tuple[Path, str]]:
    yield from _messages(file.message_type, (_MESSAGES,), "")
    yield from _enums(file.enum_type, (_ENUMS,), "")


def _messages(messages: Sequence[Any], at: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    for index, message in enumerate(messages):
        path, name = (*at, index), prefix + message.name
        yield path, name
        for number, field in enumerate(message.field):
            yield (*path, _FIELDS, number), f"{name}.{field.name}"
        yield from _messages(message.nested_type, (*path, _NESTED_MESSAGES), f"{name}.")
        yield from _enums(message.enum_type, (*path, _NESTED_ENUMS), f"{name}.")


def _enums(enums: Sequence[Any], at: Path, prefix: str) -> Iterator[tuple[Path, str]]:
    for index, enum in enumerate(enums):
        path, name = (*at, index), prefix + enum.name
        yield path, name
        for number, value in enumerate(enum.value):
            yield (*path, _VALUES, number), f"{name}.{value.name}"
