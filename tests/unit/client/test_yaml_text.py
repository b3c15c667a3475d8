"""YAML is read in bounded time, numbers as people mean them, and every complaint has file and line."""

import contextlib
import json
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from posology.client import load_run, yaml_text
from posology.core.errors import InvalidInput, PosologyError

RUN = """\
apiVersion: posology.dev/v1alpha1
kind: FineTuneRun
metadata: {name: sample}
spec:
  baseModel: {uri: file:/x}
  curation: {sources: [{uri: ./labels, format: SPL}]}
  evaluation:
    suites: [{name: mcq, uri: ./mcq.jsonl}]
    gates: [{suite: mcq, atLeast: 0.5}]
"""
CORPUS = Path(__file__).with_name("spec_corpus")
SAMPLES = sorted(CORPUS.glob("*.yaml"))


def refusal(path: Path, content: str | bytes) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidInput) as caught:
        load_run(path)
    return str(caught.value)


@pytest.mark.parametrize("text", ["2e-4", "1e-4", "5e-05", "2E-4", "+2e-4", "2.e-4", ".5e-3", "2e5"])
def test_numbers_in_every_notation_are_numbers(text: str) -> None:
    assert yaml_text.read(f"a: {text}", "x").value == {"a": float(text)}


@pytest.mark.parametrize(
    "text", ["2e", "e5", "2e-4x", "v2e-4", "'2e-4'", "2024-01-31", "sha256:2e5", "1:30", "-1:30:00"]
)
def test_what_only_looks_like_a_number_stays_a_text(text: str) -> None:
    assert yaml_text.read(f"a: {text}", "x").value == {"a": text.strip("'")}


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        (RUN.replace("file:/x}", "file:/x, urri: y}"), 5, "spec.baseModel.urri"),
        (RUN.replace("atLeast: 0.5", "atLeast: half"), 9, "spec.evaluation.gates[0].atLeast"),
        (RUN.replace("format: SPL", "format: SLP"), 6, "spec.curation.sources[0].format"),
        (RUN.replace("name: sample", "name: Sample_1"), 3, "metadata.name"),
        (RUN.replace("name: sample", "name: sample, colour: red"), 3, "metadata.colour"),
        (RUN.replace("name: sample", "name: sample, labels: {a: 1}"), 3, "metadata.labels"),
        (RUN + "  training: {sft: {rank: " + "9" * 400 + "}}\n", 10, "spec.training.sft.rank"),
        (RUN + "  training: {sft: {learningRate: .inf}}\n", 10, "spec.training.sft.learningRate"),
        (RUN + "  training: {sft: {max_length: 8, maxLength: 9}}\n", 10, "spec.training.sft.max_length"),
        (RUN.replace("format: SPL", 'format: "\\ud83d"'), 6, "spec.curation.sources[0].format"),
        (RUN.replace("uri: ./labels", 'uri: "\\ud83d"'), 6, "spec.curation.sources[0].uri"),
        (RUN.replace("\n", "\r\n").replace("atLeast: 0.5", "atLeast: half"), 9, "spec.evaluation.gates[0].atLeast"),
        ("\ufeff" + RUN.replace("atLeast: 0.5", "atLeast: half"), 9, "spec.evaluation.gates[0].atLeast"),
    ],
)
def test_every_violation_has_its_file_and_line(tmp_path: Path, text: str, line: int, field: str) -> None:
    path = tmp_path / "run.yaml"
    assert f"{path}:{line}: {field}: " in refusal(path, text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RUN + "---\n" + RUN, "run.yaml:11 holds another document; make one file of each run"),
        (RUN + "  training:\n\tsft: {}\n", "run.yaml:11 is not YAML: a tab stands here, where YAML takes spaces only"),
        (RUN + "# \x01\n", "run.yaml:10 is not YAML: it holds the character U+0001"),
        ("- a\n", "run.yaml:1: a run's file is a mapping"),
        ("---\n", "run.yaml is empty"),
    ],
)
def test_what_is_no_run_at_all_is_said_in_words_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    assert says in refusal(tmp_path / "run.yaml", text)


@pytest.mark.parametrize(
    "text",
    [
        f"---\n{RUN}---\n",
        f"# a run\n---\n{RUN}...\n",
        RUN.replace("name: sample}", "name: sample}  # one\u2028    and: the same comment\x85so is: this"),
        RUN.replace("\n", "\r"),
        json.dumps(yaml.safe_load(RUN), indent="\t"),
    ],
)
def test_what_other_tools_take_is_taken(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.yaml").write_bytes(text.encode())
    assert load_run(tmp_path / "run.yaml").name == "sample"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (RUN + "spec: {}\n", 10),
        (RUN.replace("atLeast: 0.5", "atLeast: 0.5, atLeast: 0.9"), 9),
        (RUN.replace("metadata:", "kind: FineTuneRun\nmetadata:"), 3),
        ("a:\n  b: 1\n  'b': 2\n", 3),
        ("a: {1: x, '1': y}\n", 1),
    ],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, text: str, line: int) -> None:
    message = refusal(tmp_path / "run.yaml", text)
    assert "is there twice" in message
    assert f"run.yaml:{line}:" in message


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    "text",
    [
        bomb(12),
        "&a [*a]",
        "a: &a {b: *a}",
        "a: &a\n  <<: *a\n",
        "[" * 100_000,
        "{a: " * 5_000,
        "- " * 3_000 + "x",
        "a: " + "9" * 100_000,
        "a: " + "1" * 6_000 + "e5",
        "x: 'y" + " " * 2_000_000,
        "? [a]\n: b",
        "<<: 5",
        "!!python/object/apply:os.system [ls]",
        "a: !!binary '!'",
        "a: !!int x",
        "",
        "---\n---\n",
        "\x00",
        "\ud800".encode("utf-16", "surrogatepass"),
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b"\xff\xfea\x00",
    ],
)
def test_hostile_files_are_refused_at_once(tmp_path: Path, text: str | bytes) -> None:
    began = time.process_time()
    assert refusal(tmp_path / "run.yaml", text)
    assert time.process_time() - began < 5


def test_a_merge_key_still_works() -> None:
    assert yaml_text.read("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}", "f").value["b"] == {"x": 1, "y": 3}


def test_locations_are_named_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(RUN)
    run = load_run(path)
    seen = InvalidInput(f"file:{tmp_path}/labels is outside; {tmp_path}/mcq.jsonl too")
    assert run.at_lines(seen).message == "./labels is outside; ./mcq.jsonl too"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_what_once_failed_is_answered_properly(path: Path) -> None:
    answered(path)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["spec", "metadata", "name", "uri", "baseModel", "curation", "sources", "kind", "pairs"]
                )
                | st.text(max_size=6),
                inner,
                max_size=5,
            )
        ),
        max_leaves=25,
    )
)
@example({"metadata": {"name": "\ud800"}})
def test_any_document_gives_a_run_or_one_clear_error(tmp_path: Path, document: object) -> None:
    text = json.dumps(document) if isinstance(document, dict) else yaml.safe_dump(document)
    path = tmp_path / "run.yaml"
    path.write_bytes(text.encode("utf-8", "replace"))
    answered(path)


def answered(path: Path) -> None:
    """A run, or an error that users may see; anything else fails the test."""
    with contextlib.suppress(PosologyError):
        load_run(path)
