"""The nano base model is an ordinary Hugging Face folder that training and the engine can take."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "worker" / "bin" / "python"
RENDER = """
import json, sys
from transformers import AutoTokenizer
t = AutoTokenizer.from_pretrained(sys.argv[1])
talk = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]
print(json.dumps([t.apply_chat_template(talk, tokenize=False),
                  t.apply_chat_template(talk[:2], tokenize=False, add_generation_prompt=True)]))
"""


def run(*arguments: str) -> str:
    found = subprocess.run(
        [str(PYTHON), *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
def test_the_nano_base_is_a_folder_that_training_and_engine_take(tmp_path: Path) -> None:
    out = tmp_path / "nano"
    said = run("-m", "examples.nano.build", "--out", str(out), "--steps", "2", "--threads", "1")
    assert "984,192 parameters" in said
    assert {p.name for p in out.iterdir()} >= {"config.json", "model.safetensors", "tokenizer.json", "nano.json"}
    config = json.loads((out / "config.json").read_text())
    assert config["hidden_size"] % 64 == 0
    assert config["intermediate_size"] % 64 == 0
    whole, asked = json.loads(run("-c", RENDER, str(out)))
    assert whole == "<s><|user|>S\nQ<|end|><|assistant|>A<|end|>"
    assert asked == "<s><|user|>S\nQ<|end|><|assistant|>"
