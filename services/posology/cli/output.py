"""How answers are written: text for people, JSON for programs; never both on one stream."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from posology.core import schema
from posology.core.errors import PosologyError
from posology.core.visible import visible

_errors = Console(stderr=True, soft_wrap=True, highlight=False)


class Format(StrEnum):
    """`--output`."""

    TEXT = "text"
    JSON = "json"


class Writer:
    """Writes to standard output in the chosen format."""

    def __init__(self, chosen: Format) -> None:
        self.json = chosen is Format.JSON
        self.console = Console(soft_wrap=True, highlight=False)

    def value(self, value: Any, text: str) -> None:
        """One answer: JSON of `value`, or the text."""
        if self.json:
            self._dump(value)
        else:
            self.console.print(visible(text))

    def rows(self, values: Sequence[Any], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Many answers: a JSON list, or a table. In a pipe each is one line, however long it is."""
        if self.json:
            self._dump(list(values))
            return
        cells = [[" ".join(visible(str(cell)).split()) for cell in row] for row in rows]
        if not self.console.is_terminal:
            for line in _aligned([list(columns), *cells]):
                self.console.print(line, markup=False)
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*(escape(cell) for cell in row))
        Console(highlight=False).print(table)

    def event(self, value: Any, text: str) -> None:
        """One line of a stream: JSON lines, or text lines."""
        if self.json:
            self.console.file.write(json.dumps(plain(value)) + "\n")
            self.console.file.flush()
        else:
            self.console.print(visible(text))

    def note(self, text: str) -> None:
        """Something beside the answer; on stderr, so that pipes stay clean."""
        _errors.print(visible(text))

    def _dump(self, value: Any) -> None:
        self.console.file.write(json.dumps(plain(value), indent=2) + "\n")


def _aligned(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def complain(error: PosologyError, *, as_json: bool = False, code: int = 1) -> None:
    """One paragraph: what is wrong and what to do; every violation on a line of its own. As JSON, one object."""
    if as_json:
        wrong = [
            {"field": v.field, "description": v.description, **({"place": v.place} if v.place else {})}
            for v in error.violations
        ]
        body = {"code": error.grpc_status.name, "exitCode": code, "message": error.message, "violations": wrong}
        _errors.file.write(json.dumps({"error": body}) + "\n")
        return
    if error.violations:
        _errors.print("[bold red]error:[/] the input is wrong:")
        for violation in error.violations:
            place = f"{escape(visible(violation.place))}: " if violation.place else ""
            field, description = escape(visible(violation.field)), escape(visible(violation.description))
            _errors.print(f"  {place}[bold]{field}[/]: {description}")
    else:
        _errors.print(f"[bold red]error:[/] {escape(visible(error.message))}")


def count(number: int, noun: str) -> str:
    """`1 warning`, `2 warnings`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def plain(value: Any) -> Any:
    """As JSON, with the keys of protobuf's mapping: `matchedAs` for a field `matched_as`."""
    if isinstance(value, Message):
        return schema.to_mapping(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {_camel(field.name): plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)
