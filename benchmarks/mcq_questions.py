"""Multiple-choice questions per second: the evaluation worker against lm-eval over the same vLLM endpoint.

    python benchmarks/mcq_questions.py [--questions 120] [--model FOLDER] [--json FILE]

Both ask for the letter of the right option with the same prompts, one after the other, on one engine; lm-eval
at one and at many requests in flight. It gets an environment of its own below build/bench, made on first use.
By default the model is a random one of a million parameters, so that harness and engine are what is measured.
"""

import argparse
import asyncio
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine_port import on_a_port

from posology.engine import Engine, EngineConfig, EngineHost

ROOT = Path(__file__).resolve().parent.parent
LM_EVAL = ("lm-eval[api]==0.4.13", "transformers>=5.16.1,<5.20")
AIM = 10.0
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def python_of(role: str) -> str:
    """The interpreter of an environment; the variable of the installation wins."""
    variable = f"POSOLOGY_{role.split('-')[0].upper()}_PYTHON"
    return os.environ.get(variable) or str(ROOT / f".venv/{role}/bin/python")


def lm_eval_python() -> str:
    """lm-eval's interpreter, in an environment that nothing else uses."""
    folder = ROOT / "build" / "bench" / "lm-eval"
    python = folder / "bin" / "python"
    if not (folder / ".made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        uv = shutil.which("uv") or str(ROOT / ".venv/tools/bin/uv")
        subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "-q", "--python", str(python), *LM_EVAL], check=True)
        (folder / ".made").touch()
    return str(python)


def questions(folder: Path, count: int) -> tuple[Path, Path]:
    """The same questions as a suite of ours, and as lm-eval's documents with the very prompt that ours makes."""
    lines = (ROOT / "examples/suites/open-book.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines[:count]]
    ours, theirs = folder / "ours.jsonl", folder / "theirs.jsonl"
    ours.write_text("".join(json.dumps(item) + "\n" for item in found))
    theirs.write_text("".join(json.dumps(_document(item)) + "\n" for item in found))
    return ours, theirs


def _document(item: dict[str, Any]) -> dict[str, Any]:
    asked = f"Excerpt: {item['context']}\nQuestion: {item['question']}" if item.get("context") else item["question"]
    options = "\n".join(f"{LETTERS[i]}. {choice}" for i, choice in enumerate(item["choices"]))
    prompt = f"{asked}\n\n{options}\n\nAnswer with the letter of the right option only."
    return {"prompt": prompt, "letters": list(LETTERS[: len(item["choices"])]), "answer": item["answer"]}


async def side(python: str, script: str, told: dict[str, str]) -> dict[str, Any]:
    """Run one side in its own environment; its last line is the answer."""
    words = [python, str(ROOT / "benchmarks" / script), json.dumps(told)]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OPENAI_API_KEY": "none"}
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environment
    )
    out, errors = await process.communicate()
    if process.returncode:
        raise SystemExit(f"{script} failed:\n{errors.decode()[-3000:]}")
    answer: dict[str, Any] = json.loads(out.decode().strip().splitlines()[-1])
    return answer


async def measure(model: Path, count: int, folder: Path) -> dict[str, Any]:
    """Questions per second of each side, and the share of questions on which their picks agree."""
    ours, theirs = questions(folder, count)
    host = EngineHost(python=python_of("engine-cpu"))
    lm_eval = lm_eval_python()
    found: dict[str, Any] = {}
    async with (
        Engine.start(model, EngineConfig(dtype="float32", max_model_len=512), host=host) as engine,
        on_a_port(engine) as url,
    ):
        common = {"url": url, "model": str(model), "folder": str(folder)}
        mine = common | {"items": str(ours), "in_flight": "32", "scoring": "LETTER"}
        await side(python_of("worker"), "_mcq_ours.py", mine)  # the first pass compiles kernels: nobody's score
        first = await side(python_of("worker"), "_mcq_ours.py", mine)
        found["ours"] = count / first["seconds"]
        for name, in_flight, batch in (("lm-eval, default", "1", "1"), ("lm-eval, 32 in flight", "32", "1")):
            told = common | {"items": str(theirs), "in_flight": in_flight, "batch": batch}
            other = await side(lm_eval, "_mcq_lm_eval.py", told)
            found[name] = count / other["seconds"]
            found["agreement"] = sum(a == b for a, b in zip(first["picked"], other["picked"], strict=True)) / count
        found["engine"] = engine.config.engine_version
    return found


def random_model(folder: Path) -> Path:
    """A random model of a million parameters with a chat template."""
    script = ROOT / "tests/pipeline/engine/make_tiny_model.py"
    subprocess.run([python_of("worker"), str(script), str(folder)], check=True, capture_output=True)
    return folder


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--questions", type=int, default=120)
    options.add_argument("--model", type=Path)
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = asked.model or random_model(folder / "model")
        found = asyncio.run(measure(model, asked.questions, folder))
    found["ratio to lm-eval, default"] = found["ours"] / found["lm-eval, default"]
    found["ratio to lm-eval, 32 in flight"] = found["ours"] / found["lm-eval, 32 in flight"]
    print(
        f"vLLM {found['engine']}, {LM_EVAL[0]}, posology {version('posology')}, {platform.machine()}, "
        f"{len(os.sched_getaffinity(0))} CPUs, {asked.questions} questions of four options"
    )
    for name in ("ours", "lm-eval, default", "lm-eval, 32 in flight"):
        print(f"{name:24}{found[name]:8.1f} questions/s")
    print(
        f"ratio {found['ratio to lm-eval, default']:.1f} (aim {AIM:.0f}) and "
        f"{found['ratio to lm-eval, 32 in flight']:.1f}; the same option picked: {found['agreement']:.1%}"
    )
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
