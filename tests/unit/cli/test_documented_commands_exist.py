"""What README, docs, charts and alerts tell people to type is a command with these options."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from support.servers import REPOSITORY

from posology.cli import app as command_line

ROOT: Any = typer.main.get_command(command_line.app)
FILES = sorted(
    path
    for pattern in ("README.md", "docs/**/*.md", "examples/**/*.md", "charts/posology/**/*.*", "examples/*.yaml")
    for path in REPOSITORY.glob(pattern)
    if path.suffix in (".md", ".yaml", ".txt", ".tpl", ".json")
)
_LINE = re.compile(r"^\s*(?:\$ |# +)?(posology [a-z-].*)$", re.MULTILINE)
_INLINE = re.compile(r"`(posology [a-z][^`\n]*)`")


def typed(text: str) -> Iterator[str]:
    """Every command line in a text: a line of its own in a block, or between backquotes."""
    for block in re.findall(r"```[^\n]*\n(.*?)```", text, re.DOTALL):
        yield from _LINE.findall(block)
    yield from _INLINE.findall(text)


def problem(line: str) -> str:
    """Why it can't be typed; empty if it can."""
    line = line.split(" | ")[0].split(" && ")[0].split(" > ")[0]
    try:
        words = shlex.split(line, comments=True)[1:]
    except ValueError:  # a text in quotes that goes on in the next line
        words = line.split()[1:]
    words = command_line.hoisted(words)
    while words and words[0] in ("-n", "-o", "--namespace", "--output", "--data"):
        del words[:2]
    command, shared = ROOT, options(ROOT)
    for word in list(words):
        if not hasattr(command, "commands") or word.startswith("-"):
            break
        if "/" in word or word == "...":  # `posology plan / submit / watch`
            return ""
        if word not in command.commands:
            return f"there is no command {word!r}"
        command = command.commands[word]
        words.pop(0)
    known = options(command) | shared | {"--help"}
    unknown = [word for word in words if word.startswith("--") and word.split("=")[0] not in known]
    return f"it has no option {', '.join(unknown)}" if unknown else ""


def options(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_what_people_are_told_to_type_can_be_typed(path: Path) -> None:
    wrong = {line: why for line in typed(path.read_text(encoding="utf-8")) if (why := problem(line))}
    assert not wrong


@pytest.mark.parametrize(
    "line", ["posology nope", "posology ask --colour red", "posology review nope x", "posology deployments --gpus=1"]
)
def test_what_can_t_be_typed_is_noticed(line: str) -> None:
    assert problem(line)


def test_there_is_something_to_read() -> None:
    assert sum(len(list(typed(path.read_text(encoding="utf-8")))) for path in FILES) > 15
