"""A run's file: parameters, relative paths, and everything wrong with it at once."""

from pathlib import Path

import pytest

from posology.client import load_run
from posology.core.errors import InvalidInput

RUN = """
apiVersion: posology.dev/v1alpha1
kind: FineTuneRun
metadata: {name: sample}
spec:
  baseModel: {uri: "${base}"}
  curation: {sources: [{uri: ./labels, format: SPL}]}
  evaluation:
    suites: [{name: mcq, uri: ../mcq.jsonl}]
    gates: [{suite: mcq, atLeast: 0.5}]
"""


def written(folder: Path, text: str = RUN) -> Path:
    path = folder / "run.yaml"
    path.write_text(text)
    return path


def wrong(path: Path, **parameters: str) -> dict[str, str]:
    with pytest.raises(InvalidInput) as caught:
        load_run(path, parameters=parameters)
    return {v.field: v.description for v in caught.value.violations} or {"": caught.value.message}


def test_paths_are_taken_from_the_files_folder_and_parameters_are_filled_in(tmp_path: Path) -> None:
    run = load_run(written(tmp_path), parameters={"base": "hf://org/name"} | {"base": "file:/models/base"})
    assert run.name == "sample"
    assert run.spec.base_model.uri == "file:/models/base"
    assert run.spec.curation.sources[0].uri == f"file:{tmp_path}/labels"
    assert run.spec.evaluation.suites[0].uri == f"file:{tmp_path.parent}/mcq.jsonl"


def test_a_missing_and_an_unknown_parameter_are_both_named(tmp_path: Path) -> None:
    found = wrong(written(tmp_path), bsae="x")
    assert found["base"] == "is a parameter of this file; give it with --set base=..."
    assert found["bsae"] == "is no parameter of this file; it has base"


def test_the_frame_and_the_spec_are_checked_in_one_go(tmp_path: Path) -> None:
    text = RUN.replace("FineTuneRun", "FineTune").replace("format: SPL", "format: SLP, colour: red")
    found = wrong(written(tmp_path, text + "surprise: 1\n"), base="file:/x")
    assert found["kind"] == "must be FineTuneRun, not 'FineTune'"
    assert "did you mean SPL?" in found["spec.curation.sources[0].format"]
    assert "spec.curation.sources[0].colour" in found
    assert "surprise" in found


def test_a_hub_model_without_its_commit_is_refused(tmp_path: Path) -> None:
    assert "40 hex digits" in wrong(written(tmp_path), base="hf://org/name")["spec.baseModel"]


def test_what_is_no_yaml_or_no_file_is_said(tmp_path: Path) -> None:
    assert "is not YAML" in wrong(written(tmp_path, "a: [unclosed"))[""]
    assert "can't be read" in wrong(tmp_path / "nothing.yaml")[""]


def test_an_explicit_zero_is_kept_and_defaults_are_left_to_admission(tmp_path: Path) -> None:
    run = load_run(written(tmp_path, RUN + "  training: {sft: {dropout: 0}}\n"), parameters={"base": "file:/x"})
    assert run.spec.training.sft.HasField("dropout")
    assert not run.spec.training.sft.HasField("rank")


@pytest.mark.parametrize(
    "value",
    [
        "a b",
        "a #b",
        "a, b",
        "a: b",
        "a}b",
        "'q",
        '"q',
        "*x",
        "&x",
        "- x",
        "[x",
        "{x",
        "${base}",
        "!x",
        "%x",
        "@x",
        "`x",
        "|",
        "> x",
        "#x",
        "a\\b",
    ],
)
def test_a_parameter_is_a_value_and_never_yaml(tmp_path: Path, value: str) -> None:
    run = load_run(written(tmp_path), parameters={"base": f"file:/models/{value}"})
    assert run.spec.base_model.uri == f"file:/models/{value}"
    with pytest.raises(InvalidInput) as caught:
        load_run(tmp_path / "run.yaml", parameters={"base": value})
    assert {violation.field for violation in caught.value.violations} <= {"spec.baseModel", "spec.baseModel.uri"}


def test_a_parameter_is_a_number_where_one_is_wanted_and_adds_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, RUN + "  training: {sft: {rank: ${rank}}}  # or ${other}\n")
    run = load_run(path, parameters={"base": "file:/x", "rank": "16"})
    assert run.spec.training.sft.rank == 16
    found = wrong(path, base="file:/x", rank="16}, dpo: {beta: 9")
    assert found == {"spec.training.sft.rank": "must be a whole number, not '16}, dpo: {beta: 9'"}


def test_the_home_folder_is_known_by_its_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run = load_run(written(tmp_path, RUN.replace("./labels", "~/labels")), parameters={"base": "file:/x"})
    assert run.spec.curation.sources[0].uri == f"file:{tmp_path}/labels"
