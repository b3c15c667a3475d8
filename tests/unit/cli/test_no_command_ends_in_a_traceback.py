"""Every command, with wrong, missing, unreadable and binary arguments, and nothing running: one paragraph, one code."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.console import Console

from posology.cli import app as command_line
from posology.cli import output

CODES = {0, 1, 2, 3, 4, 5}
LONG = {"connect", "up"}
"""They start processes; tests of their own drive them."""


def commands() -> Iterator[tuple[tuple[str, ...], Any]]:
    def walk(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from walk(command, (*path, name))
            elif name not in LONG:
                yield (*path, name), command

    yield from walk(typer.main.get_command(command_line.app), ())


COMMANDS = dict(commands())


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command, in this process: a start takes a second, and there are hundreds."""
    monkeypatch.setattr(sys, "argv", ["posology", *arguments])
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    monkeypatch.setattr(output, "_errors", Console(file=err, soft_wrap=True, highlight=False))
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        command_line.main()
    code = ended.value.code
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue()


def damaged(folder: Path) -> Path:
    (folder / "damaged").mkdir()
    (folder / "damaged" / "endpoints.json").write_text('{"addresses": ["x"], "proc')
    return folder / "damaged"


def a_file(folder: Path) -> Path:
    (folder / "file").write_bytes(b"\x00\xff")
    return folder / "file"


DATA: dict[str, Callable[[Path], Path]] = {
    "nothing": lambda folder: folder / "none",
    "a file": a_file,
    "damaged endpoints": damaged,
    "below a file": lambda folder: a_file(folder) / "below",
    "a device": lambda _: Path("/dev/null"),
}


def values(folder: Path) -> dict[str, str]:
    (folder / "binary").write_bytes(bytes(range(256)))
    (folder / "empty").touch()
    return {
        "binary": str(folder / "binary"),
        "empty": str(folder / "empty"),
        "folder": str(folder),
        "missing": str(folder / "missing"),
        "odd": "\u202e\x1b[31mx",
        "none": "",
        "digest": "sha256:" + "0" * 64,
        "long": "x" * 5000,
    }


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_it_says_what_is_wrong_in_one_paragraph(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    needed = [one for one in COMMANDS[words].params if one.required]
    for name, data in DATA.items():
        (tmp_path / name).mkdir()
        folder = data(tmp_path / name)
        for value in values(tmp_path).values():
            filled = [word for one in needed for word in _filled(one, value)]
            code, _, complaint = run(monkeypatch, "--data", str(folder), *words, *filled)
            assert code in CODES, complaint
            assert "Traceback" not in complaint
            assert "defect of posology" not in complaint, f"{words} {value!r}: {complaint}"
            assert "\x1b[31mx" not in complaint
            assert code == 0 or complaint.strip()


def _filled(parameter: Any, value: str) -> list[str]:
    option = next((name for name in parameter.opts if name.startswith("-")), "")
    return [f"{option}={value}"] if option else [value if not value.startswith("-") else f"./{value}"]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_wrong_arguments_are_one_json_object_where_json_is_asked_for(
    words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, complaint = run(monkeypatch, *words, "--no-such-option", "--output", "json", "--data", str(tmp_path))
    assert code == 2
    assert out == ""
    assert json.loads(complaint)["error"]["exitCode"] == 2


def test_a_defect_leaves_its_trace_in_a_file_and_none_on_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise AssertionError("surprise")

    monkeypatch.setattr(command_line, "app", broken)
    code, _, complaint = run(monkeypatch, "runs")
    assert code == 1
    trace = Path(complaint.rsplit(" ", 1)[1].strip())
    assert "surprise" in trace.read_text()
    trace.unlink()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(28, "No space left on device", "/x"), 3),
        (PermissionError(13, "Permission denied", "/x"), 2),
        (IsADirectoryError(21, "Is a directory", "/x"), 2),
        (ConnectionRefusedError(111, "Connection refused"), 2),
    ],
)
def test_the_system_s_own_errors_are_said_in_words(monkeypatch: pytest.MonkeyPatch, error: OSError, code: int) -> None:
    def broken(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(command_line, "app", broken)
    ended, _, complaint = run(monkeypatch, "runs")
    assert ended == code
    assert str(error.strerror).lower() in complaint


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "--output", "json", "--data", "X", "-n", "team"],
        ["--data", "X", "runs", "-n", "team", "-o", "json"],
        ["-n", "team", "runs", "--data=X", "--output=json"],
    ],
)
def test_shared_options_stand_anywhere(arguments: list[str]) -> None:
    moved = command_line.hoisted(arguments)
    assert moved[-1] == "runs"
    assert command_line.wants_json(moved)


def test_what_follows_two_dashes_is_left_alone() -> None:
    assert command_line.hoisted(["ask", "--", "-o", "json"]) == ["ask", "--", "-o", "json"]
