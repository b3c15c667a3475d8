"""How answers are written: text for people, JSON for programs; never both on one stream."""

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

from google.protobuf.message import Message
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from posology.core import schema
from posology.core.errors import PosologyError

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
            self.console.print(text)

    def rows(self, values: Sequence[Any], columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Many answers: a JSON list, or a table."""
        if self.json:
            self._dump(list(values))
            return
        table = Table(*columns, box=None, pad_edge=False, header_style="bold")
        for row in rows:
            table.add_row(*(escape(str(cell)) for cell in row))
        # Pipes have no width: a program that reads columns must not see them cut.
        Console(highlight=False, width=None if self.console.is_terminal else 200).print(table)

    def event(self, value: Any, text: str) -> None:
        """One line of a stream: JSON lines, or text lines."""
        if self.json:
            self.console.file.write(json.dumps(_plain(value)) + "\n")
            self.console.file.flush()
        else:
            self.console.print(text)

    def note(self, text: str) -> None:
        """Something beside the answer; on stderr, so that pipes stay clean."""
        _errors.print(text)

    def _dump(self, value: Any) -> None:
        self.console.file.write(json.dumps(_plain(value), indent=2) + "\n")


def complain(error: PosologyError) -> None:
    """One paragraph: what is wrong and what to do; every violation on a line of its own."""
    if error.violations:
        _errors.print("[bold red]error:[/] the input is wrong:")
        for violation in error.violations:
            _errors.print(f"  [bold]{escape(violation.field)}[/]: {escape(violation.description)}")
    else:
        _errors.print(f"[bold red]error:[/] {escape(error.message)}")


def _plain(value: Any) -> Any:
    if isinstance(value, Message):
        return schema.to_mapping(value)
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
