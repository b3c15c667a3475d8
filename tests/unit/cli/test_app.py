"""The command line says one paragraph and one exit code per kind of error."""

import subprocess
import sys
from pathlib import Path

import pytest

from posology.cli import app as command_line
from posology.cli.app import exit_code
from posology.core import errors


def posology(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "posology.cli.app", "--data", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("x"), 2),
        (errors.AlreadyExists("x"), 2),
        (errors.Unavailable("x"), 3),
        (errors.Timeout("x"), 3),
        (errors.FailedPrecondition("x"), 4),
        (errors.PermissionDenied("x"), 4),
        (errors.NotFound("x"), 5),
        (errors.Internal("x"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error: errors.PosologyError, code: int) -> None:
    assert exit_code(error) == code


def test_nothing_running_is_said_with_what_to_do(tmp_path: Path) -> None:
    done = posology(tmp_path, "runs")
    assert done.returncode == 3
    assert f"posology --data {tmp_path} up" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_is_checked_without_any_service(tmp_path: Path) -> None:
    file = tmp_path / "run.yaml"
    file.write_text(
        "apiVersion: posology.dev/v1alpha1\nkind: FineTuneRun\nmetadata: {name: x}\nspec: {basemodel: {}}\n"
    )
    done = posology(tmp_path, "validate", str(file))
    assert done.returncode == 2
    assert "spec.basemodel: unknown field; did you mean baseModel?" in done.stderr


def test_status_of_nothing_asks_to_start(tmp_path: Path) -> None:
    done = posology(tmp_path, "status")
    assert done.returncode == 3
    assert f"posology --data {tmp_path} up" in done.stderr


def test_down_where_nothing_runs_does_nothing(tmp_path: Path) -> None:
    assert posology(tmp_path, "down").returncode == 0


def test_help_lists_every_verb(tmp_path: Path) -> None:
    shown = posology(tmp_path, "--help").stdout
    verbs = "up down status validate plan submit runs show watch cancel logs review approve report push keys deploy ask"
    assert all(f" {verb} " in shown for verb in f"{verbs} explain recall verify gc".split())


def test_a_folder_to_allow_that_is_not_there_is_named_before_anything_starts(tmp_path: Path) -> None:
    done = posology(tmp_path / "data", "up", "--allow", str(tmp_path / "lables"))
    assert done.returncode == 2
    assert f"there is no folder {tmp_path / 'lables'}" in " ".join(done.stderr.split())
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("value", ["/no/such/labels", "./lables", "../lables", "~/lables-of-nobody"])
def test_a_parameter_that_names_no_file_says_so(value: str, tmp_path: Path) -> None:
    done = posology(tmp_path, "validate", "examples/real-labels.yaml", "--set", f"spl={value}")
    assert done.returncode == 2
    assert f"there is no {value} here" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", ""], "must name a folder; it is empty"),
        (["--data="], "must name a folder; it is empty"),
        (["--data", "/dev/null"], "/dev/null is no folder"),
        (["--data", __file__], "is no folder"),
        (["-n", "Team A"], "'Team A' is no namespace: lower-case letters"),
        (["--namespace="], "'' is no namespace"),
    ],
)
def test_a_shared_option_that_is_wrong_is_named_whatever_the_command(
    arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("status", "runs"):
        monkeypatch.setattr(sys, "argv", ["posology", command, *arguments])
        with pytest.raises(SystemExit, match="2"):
            command_line.main()
        assert says in " ".join(capsys.readouterr().err.split())


def test_closed_streams_and_terminals_that_lack_a_letter_end_no_command(tmp_path: Path) -> None:
    shell = [sys.executable, "-m", "posology.cli.app", "--data", str(tmp_path), "status"]
    closed = subprocess.run(
        ["sh", "-c", 'exec "$@" <&- >&-', "sh", *shell], capture_output=True, text=True, check=False
    )
    assert (closed.returncode, "defect" in closed.stderr) == (3, False)
    poor = {"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    code = (
        "from posology.cli import app, output\n"
        "app._open_streams(); output.Writer(output.Format.TEXT).value({}, '5 \\u00b5g, \\u2265 2')"
    )
    shown = subprocess.run([sys.executable, "-c", code], env=poor, capture_output=True, text=True, check=True)
    assert shown.stdout == "5 \\xb5g, \\u2265 2\n"
