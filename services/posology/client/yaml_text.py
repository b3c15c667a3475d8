"""YAML that people write: numbers as they mean them, no key twice, bounded time, and the line of every value."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from posology.core.errors import InvalidInput, Violation

LARGEST = 1 << 20
"""Bytes of a file; the largest example has 4 KiB."""
MOST_VALUES = 100_000
"""Values of a document, with every alias written out: ten lines of aliases can stand for billions."""
DEEPEST = 60
_FLOAT = re.compile(r"^[-+]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)[eE][-+]?\d+$")
_MERGE = "tag:yaml.org,2002:merge"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


@dataclass(frozen=True)
class Document:
    """What a file says, and on which line each value stands, by its path (`spec.training.sft.rank`)."""

    value: Any
    lines: Mapping[str, int]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as everybody's parser reads it, but for two things: `2e-4` is a number, and a date stays a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read(text: str, origin: str) -> Document:
    """Parse one document. InvalidInput names `origin`, the line, and what is wrong."""
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise InvalidInput(f"{origin} is larger than {LARGEST >> 10} KiB; a run's file is a few lines")
    loader = _Loader("")
    try:
        _check_depth(text, origin)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise InvalidInput(f"{origin} is empty")
        reader = _Reader(loader, origin)
        return Document(reader.value(node, "", 0), reader.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{origin}{line} is not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"{origin} is not YAML: {str(error) or 'it is nested too deeply'}") from error
    finally:
        loader.dispose()


def _check_depth(text: str, origin: str) -> None:
    """Count brackets and indents before the parser, which recurses."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > DEEPEST:
                raise InvalidInput(f"{origin}:{_mark_line(event.start_mark)} is nested deeper than {DEEPEST} levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


class _Reader:
    """Nodes -> values, aliases written out, within bounds."""

    def __init__(self, loader: _Loader, origin: str) -> None:
        self._loader = loader
        self._origin = origin
        self._values = 0
        self.lines: dict[str, int] = {}

    def value(self, node: yaml.Node, path: str, depth: int) -> Any:
        line = _line(node)
        self._values += 1
        if self._values > MOST_VALUES or depth > DEEPEST:
            raise InvalidInput(f"{self._origin}:{line}: its aliases stand for more than a run's file can hold")
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(node.value)]
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if key_node.tag == _MERGE:
                for base in self._bases(value_node):
                    merged = {**self._mapping(base, path, depth + 1), **merged}
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise InvalidInput(f"{self._origin}:{line}: a key must be a text")
            key = str(key_node.value)
            where = f"{path}.{key}" if path else key
            if key in own:
                raise InvalidInput(
                    f"{self._origin}:{line}: {where} is there twice, first on line {self.lines[where]}; keep one"
                )
            self.lines[where] = line
            own[key] = self.value(value_node, where, depth + 1)
        return {**merged, **own}

    def _bases(self, node: yaml.Node) -> Iterator[yaml.MappingNode]:
        for base in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(base, yaml.MappingNode):
                raise InvalidInput(f"{self._origin}:{_line(node)}: << takes a mapping")
            yield base

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            return self._loader.construct_object(node)
        except (ValueError, OverflowError, RecursionError, TypeError, KeyError) as error:
            what = str(node.value)[:40]
            raise InvalidInput(f"{self._origin}:{_line(node)}: {what!r} can't be read: {error}") from error


def located(violations: tuple[Violation, ...], document: Document, origin: str) -> list[Violation]:
    """The violations with file and line; one that names nothing of the file stays as it is."""
    return [replace(violation, place=_place(violation.field, document, origin)) for violation in violations]


def _line(node: yaml.Node) -> int:
    return _mark_line(node.start_mark)


def _mark_line(mark: Any) -> int:
    return mark.line + 1 if mark else 0


def _place(path: str, document: Document, origin: str) -> str:
    while path:
        if line := document.lines.get(path):
            return f"{origin}:{line}"
        cut = max(path.rfind("."), path.rfind("["))
        path = path[:cut] if cut > 0 else ""
    return ""
