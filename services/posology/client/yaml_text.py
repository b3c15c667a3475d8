"""YAML that people write: numbers as they mean them, no key twice, bounded time, and the line of every value."""

import json
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
_TYPED = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "bool"))
PARAMETER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_TOKEN = re.compile("\ue0f0([A-Za-z0-9_]+)\ue0f1")
"""What stands for a parameter while YAML is parsed: its value may hold `#` or `, ` and is no YAML."""
_SEPARATORS = {"\x85": "\ue0f2", "\u2028": "\ue0f3", "\u2029": "\ue0f4"}
_TO_STAND_IN = str.maketrans(_SEPARATORS)
_FROM_STAND_IN = str.maketrans({stand_in: character for character, stand_in in _SEPARATORS.items()})
"""YAML 1.1 ends a line at them, so a comment that holds one would go on as a key; no editor shows that."""


@dataclass(frozen=True)
class Document:
    """What a file says, and on which line each value stands, by its path (`spec.training.sft.rank`)."""

    value: Any
    lines: Mapping[str, int]


class _Loader(yaml.SafeLoader):
    """YAML 1.1 as everybody's parser reads it, but for three things: `2e-4` is a number, a date and 1:30 stay texts."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        """The tag of a scalar; YAML 1.1 takes 1:30 for 90, which nobody means."""
        if kind is yaml.ScalarNode and implicit[0] and _SEXAGESIMAL.fullmatch(value):
            return self.DEFAULT_SCALAR_TAG
        return super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_SEXAGESIMAL = re.compile(r"[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))


def read(text: str, origin: str, parameters: Mapping[str, str] | None = None) -> Document:
    """Parse one document and fill in its `${name}`. InvalidInput names `origin`, the line, and what is wrong."""
    text = PARAMETER.sub("\ue0f0\\1\ue0f1", _without_tabs(text).translate(_TO_STAND_IN))
    if len(text.encode("utf-8", "surrogatepass")) > LARGEST:
        raise InvalidInput(f"{origin} is larger than {LARGEST >> 10} KiB; a run's file is a few lines")
    loader = _Loader("")
    try:
        _check_depth(text, origin)
        loader = _Loader(text)
        node = _only_node(loader, origin)
        reader = _Reader(loader, origin, parameters or {})
        return Document(reader.value(node, "", 0), reader.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise InvalidInput(f"{origin}{line} is not YAML: {_problem(error)}") from error
    except yaml.reader.ReaderError as error:
        number = text.count("\n", 0, error.position) + 1
        what = f"it holds the character U+{ord(text[error.position]):04X}, which no YAML may"
        raise InvalidInput(f"{origin}:{number} is not YAML: {what}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"{origin} is not YAML: {str(error) or 'it is nested too deeply'}") from error
    finally:
        loader.dispose()


def _without_tabs(text: str) -> str:
    """JSON is YAML, but for the tabs between its parts, which PyYAML does not take."""
    if "\t" in text and text.lstrip()[:1] in ("{", "["):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return text
        return text.replace("\t", " ")  # in a JSON text a tab is written as an escape
    return text


def _only_node(loader: _Loader, origin: str) -> yaml.Node:
    """The one document of a file; empty ones, as before or behind a `---`, are none."""
    nodes: list[yaml.Node] = []
    while loader.check_node():
        node = loader.get_node()
        if node is not None and not (isinstance(node, yaml.ScalarNode) and node.style is None and not node.value):
            nodes.append(node)
    if not nodes:
        raise InvalidInput(f"{origin} is empty")
    if len(nodes) > 1:
        raise InvalidInput(f"{origin}:{_line(nodes[1])} holds another document; make one file of each run")
    return nodes[0]


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = str(error.problem or error.context)
    if "'\\t'" in problem:
        return "a tab stands here, where YAML takes spaces only"
    return _TOKEN.sub(r"${\1}", problem)


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

    def __init__(self, loader: _Loader, origin: str, parameters: Mapping[str, str]) -> None:
        self._loader = loader
        self._origin = origin
        self._parameters = parameters
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
            key = self._filled(key_node)
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

    def _filled(self, node: yaml.Node) -> str:
        """The text of a scalar with its parameters; InvalidInput for one that has no value."""

        def value_of(token: re.Match[str]) -> str:
            if token[1] not in self._parameters:
                what = f"{token[1]} is a parameter of this file; give it with --set {token[1]}=..."
                raise InvalidInput(f"{self._origin}:{_line(node)}: {what}")
            return self._parameters[token[1]]

        return _TOKEN.sub(value_of, str(node.value)).translate(_FROM_STAND_IN)

    def _scalar(self, node: yaml.Node) -> Any:
        try:
            if isinstance(node, yaml.ScalarNode) and (text := self._filled(node)) != node.value:
                tag = self._loader.resolve(yaml.ScalarNode, text, (True, False))
                if node.style is not None or tag not in _TYPED:
                    return text
                node = yaml.ScalarNode(tag, text, node.start_mark, node.end_mark)
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
