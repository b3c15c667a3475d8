"""Preflight: what training would refuse is refused before an expert reads, all of it at once, with rows."""

import json
from typing import Any

import pytest
from support.training_bench import DPO, SFT, Bench, digest, pair, python, write_lines

pytestmark = pytest.mark.slow


def preflight(bench: Bench, name: str, *, base: str = "base", dataset: str = "dataset", **task: Any) -> dict[str, Any]:
    training = {"sft": {**SFT, **task.pop("sft", {})}, "dpo": {**DPO, **task.pop("dpo", {})}, "resources": {}}
    asked = {"dataset": digest(dataset), "preferences": digest("preferences"), "training": training, **task}
    return bench.case(name, {"baseModel": digest(base), "preflight": asked}, handler="preflight")


def test_preflight_counts_what_is_there_and_refuses_all_that_training_would_at_once(bench: Bench) -> None:
    bad = [pair(number) for number in range(20)]
    bad[17]["prompt"] = [*bad[17]["prompt"][:1], {"role": "user", "content": "word " * 300}]
    bad[18]["completion"] = [{"role": "assistant", "content": None}]
    write_lines(bench.root / "bad/train.jsonl", bad)
    bench.add("bad", bench.root / "bad")
    chat = [{**pair(number + 100), "tags": ["general"]} for number in range(30)]
    chat[4]["completion"] = [{"role": "assistant", "content": None}]
    write_lines(bench.root / "chat/general.jsonl", chat)
    bench.add("chat", bench.root / "chat")
    mixed = {"general": digest("chat")}
    outcomes = bench.run(
        preflight(bench, "clean", validationRows=16, generalShare=0.08),
        preflight(bench, "mixed", generalShare=0.2, **mixed),
        preflight(bench, "mixed-faulty", generalShare=0.5, **mixed),
        preflight(bench, "faulty", dataset="bad", sft={"targetModules": ["query"], "batchSize": 9}),
        preflight(bench, "mute-base", base="mute"),
        preflight(bench, "endless-base", base="endless"),
        preflight(bench, "thinking-base", base="thinking"),
        preflight(bench, "narrow-base", base="narrow", sft={"method": "QLORA"}),
        preflight(bench, "short", sft={"maxLength": 64}, dpo={"maxLength": 64}),
        preflight(bench, "gpus", sft={"batchSize": 9}, letterSuites=["mcq"]),
    )
    summary = outcomes["clean"].result["summary"]
    assert (summary["training_rows"], summary["validation_rows"], summary["preference_rows"]) == (40, 8, 48)
    assert "16 validation rows were asked for and 8 are held out" in " ".join(summary["notes"])
    assert 0 < summary["mean_row"] <= summary["longest_row"] <= 256
    assert summary["memory_mib"] > 0
    assert json.loads((outcomes["clean"].output / "preflight.json").read_text())["sft_steps"] == 10

    summary = outcomes["mixed"].result["summary"]
    assert (summary["training_rows"], summary["general_rows"]) == (50, 10)
    assert outcomes["mixed"].result["parents"][2] == digest("chat")
    assert "no content (null) (1 row: general.jsonl row 5" in outcomes["mixed-faulty"].error
    faulty = outcomes["faulty"].error
    assert "no validation pairs" in faulty
    assert "query is not in this model" in faulty
    for name, sentence in {
        "mute-base": "no chat template",
        "endless-base": "never learn to stop",
        "thinking-base": "renders a prompt differently",
        "narrow-base": "multiples of 64",
    }.items():
        assert sentence in outcomes[name].error
        assert not list(outcomes[name].output.iterdir())
    short = outcomes["short"].error
    assert "spec.training.sft.maxLength: longer than maxLength 64" in short
    assert "spec.training.dpo.maxLength: longer than maxLength 64" in short
    assert "train.jsonl row 1 (pair-0)" in short
    assert "preferences.jsonl row 1 (pair-0)" in short


def test_rows_are_named_wherever_they_stand(bench: Bench) -> None:
    rows = [pair(number) for number in range(20)]
    rows[17]["prompt"] = [{"role": "user", "content": "word " * 300}]
    rows[18]["completion"] = [{"role": "assistant", "content": None}]
    write_lines(bench.root / "late/train.jsonl", rows)
    write_lines(
        bench.root / "late/validation.jsonl", [{**pair(1), "completion": [{"role": "assistant", "content": ""}]}]
    )
    bench.add("late", bench.root / "late")
    error = bench.run(preflight(bench, "late-rows", dataset="late"))["late-rows"].error
    assert "train.jsonl row 18 (pair-17)" in error
    assert "train.jsonl row 19 (pair-18)" in error
    assert "no content (null)" in error
    assert "validation.jsonl row 1 (pair-1)" in error


def test_rows_templates_and_tokenizers_of_many_kinds_are_refused_in_words_or_taken() -> None:
    said = json.loads(python("template_checks.py").stdout.strip().splitlines()[-1])
    for name, sentence in {
        "system": "takes no system message",
        "two users": "two user messages follow each other",
        "tool": "(roles here: tool, assistant)",
        "developer": "(roles here: developer, user, assistant)",
        "stripped": "are not the row's answer",
        "null": "no content (null)",
        "null prompt": "no content (null)",
        "parts": "is a list, not text",
        "number": "is a int, not text",
        "blank": "the answer is empty",
        "no prompt": "prompt is no list of messages",
        "loop": "took more than",
    }.items():
        assert sentence in said[name], name
    for name in ("system", "two users", "tool", "null", "parts"):
        assert "row 10 (last)" in said[name]
    assert said["clean-up"] == said["normalised"] == said["letters"] == ""
    assert said["clean-up labels"] == said["normalised labels"] == 1
    assert said["every answer"] == said["every answer, in the completion"] == said["no earlier thoughts"] == "True"
    assert "turn: the chat template renders turn 2 differently" in said["earlier thoughts dropped"]
    assert "ends with a message of user" in said["ends with a question"]
    assert said["think"] == "<think>\n\n</think>"
    assert "think block" in said["letters under think"]
    assert (said["clock"], said["clock stopped"]) == (True, False)
    assert said["date"] == "26 Jul 2024 2024-07-26<|"
