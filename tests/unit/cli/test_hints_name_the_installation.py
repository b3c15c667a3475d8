"""A command that an error or a note names can be typed as it stands, for the installation that was asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from posology.cli import hints
from posology.cli.app import main


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stderr: str


Type = Callable[..., Done]


@pytest.fixture
def posology(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Type:
    """The command line, in this process: starting one for each case would take the most time."""

    def typed(*arguments: str) -> Done:
        monkeypatch.setattr("sys.argv", ["posology", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return Done(int(ended.value.code or 0), capsys.readouterr().err)

    return typed


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["status"],
        ["ask", "What is the dose?"],
        ["console"],
        ["submit", "examples/demo.yaml", "--set", "base=file:/nowhere"],
        ["review", "list"],
    ],
)
def test_services_that_are_down_are_3_and_the_hint_repeats_the_folder(
    posology: Type, tmp_path: Path, words: list[str]
) -> None:
    done = posology("--data", str(tmp_path), *words)
    assert done.returncode == 3, done.stderr
    assert f"`posology --data {tmp_path} up`" in done.stderr


def test_the_folder_is_repeated_wherever_it_stood_and_quoted_for_shells(posology: Type, tmp_path: Path) -> None:
    spaced = tmp_path / "my data"
    for words in (["runs", f"--data={spaced}", "-o", "json"], ["runs", "--data", str(spaced), "--output=json"]):
        done = posology(*words)
        error = json.loads(done.stderr)["error"]
        assert (error["code"], error["exitCode"]) == ("UNAVAILABLE", 3)
        assert f"`posology --data '{spaced}' up`" in error["message"]


def test_only_commands_get_options_and_none_where_none_was_given() -> None:
    text = "start one with `posology up`; posology runs lists them; posology updates nothing; see posology --data y up"
    assert hints.repeated(text, [], ["up", "runs"]) == text
    assert hints.repeated(text, ["--data", "x"], ["up", "runs"]) == (
        "start one with `posology --data x up`; posology --data x runs lists them; posology updates nothing; "
        "see posology --data y up"
    )


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--data", "x", "runs"], ["--data", "x"]),
        (["--data=x", "-n", "team", "runs"], ["--data", "x", "--namespace", "team"]),
        (["ask", "--", "--data", "x"], []),
        (["runs", "--data"], []),
        (["runs"], []),
    ],
)
def test_options_are_read_as_they_were_typed(arguments: list[str], options: list[str]) -> None:
    assert hints.given(arguments) == options


def test_an_empty_question_is_refused_before_anybody_is_asked(posology: Type, tmp_path: Path) -> None:
    for question in ("", "  \n"):
        done = posology("--data", str(tmp_path), "ask", question)
        assert done.returncode == 2
        assert "question: must not be empty" in done.stderr


@pytest.mark.parametrize("path", ["build/nanoo", "nanoo", "no such/folder"])
def test_a_folder_without_a_scheme_that_is_not_there_is_said_to_be_missing(
    posology: Type, tmp_path: Path, path: str
) -> None:
    done = posology("--data", str(tmp_path), "validate", "examples/demo.yaml", "--set", f"base={path}")
    assert done.returncode == 2
    assert f"spec.baseModel: there is no folder or file {path} here (uri must start with hf://" in done.stderr


def test_a_source_without_a_scheme_is_said_to_be_missing_too(posology: Type) -> None:
    done = posology(
        "validate", "examples/real-labels.yaml",
        "--set", "spl=labels/nope", "--set", "openfda=https://x/y", "--set", "base=file:/b",
    )  # fmt: skip
    assert done.returncode == 2
    assert "spec.curation.sources[0]: there is no folder or file labels/nope here" in done.stderr
    assert "spec.curation.sources[1]: uri must start with" in done.stderr
