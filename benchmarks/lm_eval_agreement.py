"""Letters and option likelihoods beside lm-evaluation-harness, item by item, through the same vLLM endpoint.

    python benchmarks/lm_eval_agreement.py [--model FOLDER] [--items 100] [--json FILE] SUITE...

A suite is any file that an evaluation reads, published benchmarks included. Three ways of choosing are compared: the
letter, the likeliest option (lm-eval's acc) and the likeliest per character (acc_norm). By default the model is a
random one of a million parameters, whose options nearly tie: the hardest case for agreement.
"""

import argparse
import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from engine_port import on_a_port
from mcq_questions import LETTERS, lm_eval_python, python_of, random_model, side

from posology.engine import Engine, EngineConfig, EngineHost
from posology.evaluation.domain import Scoring, SuiteKind
from posology.evaluation.questions import Question
from posology.evaluation.suites import parse

AIM = 0.99
WAYS = {
    "letter": Scoring.LETTER,
    "acc": Scoring.OPTION_LIKELIHOOD_SUM,
    "acc_norm": Scoring.OPTION_LIKELIHOOD_PER_CHARACTER,
}


def documents(questions: list[Question], *, letters: bool) -> list[dict[str, Any]]:
    """What lm-eval is given: the user's turn as it is, and the options behind it."""
    return [
        {
            "prompt": _listed(question) if letters else question.prompt,
            "letters": list(LETTERS[: len(question.choices)]) if letters else list(question.choices),
            "answer": question.answer,
        }
        for question in questions
    ]


def _listed(question: Question) -> str:
    options = "\n".join(f"{LETTERS[i]}. {choice}" for i, choice in enumerate(question.choices))
    return f"{question.prompt}\n\n{options}\n\nAnswer with the letter of the right option only."


def own_lines(questions: list[Question]) -> str:
    """The same questions as a suite of ours."""
    rows = [
        {"id": q.id, "question": q.question, "context": q.context, "choices": list(q.choices), "answer": q.answer}
        for q in questions
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


async def compare(url: str, model: Path, questions: list[Question], folder: Path) -> dict[str, Any]:
    """By way of choosing: the share of items with the same choice, and each side's accuracy."""
    (folder / "ours.jsonl").write_text(own_lines(questions))
    common = {"url": url, "model": str(model), "folder": str(folder), "in_flight": "16"}
    shares: dict[str, Any] = {}
    for way, scoring in WAYS.items():
        theirs = folder / f"{way}.jsonl"
        rows = documents(questions, letters=way == "letter")
        theirs.write_text("".join(json.dumps(row) + "\n" for row in rows))
        mine = await side(
            python_of("worker"),
            "_mcq_ours.py",
            common | {"items": str(folder / "ours.jsonl"), "scoring": scoring.value},
        )
        other = await side(
            lm_eval_python(), "_mcq_lm_eval.py", common | {"items": str(theirs), "batch": "1", "way": way}
        )
        pairs = list(zip(mine["picked"], other["picked"], strict=True))
        answers = [question.answer for question in questions]
        shares[way] = {
            "same": sum(a == b for a, b in pairs) / len(pairs),
            "ours": sum(a == b for a, b in zip(mine["picked"], answers, strict=True)) / len(pairs),
            "lm-eval": sum(a == b for a, b in zip(other["picked"], answers, strict=True)) / len(pairs),
            "different": [questions[i].id for i, (a, b) in enumerate(pairs) if a != b],
        }
        print(f"{way:10}{len(pairs)} items, same choice {shares[way]['same']:.1%}", flush=True)  # a way takes minutes
    return shares


async def measure(model: Path, suites: list[Path], most: int, folder: Path, *, dtype: str) -> dict[str, Any]:
    """Every suite on one engine."""
    results: dict[str, Any] = {}
    host = EngineHost(python=python_of("engine-cpu"))
    async with (
        Engine.start(model, EngineConfig(dtype=dtype, max_model_len=1024), host=host) as engine,
        on_a_port(engine) as url,
    ):
        for suite in suites:
            items = parse(suite.read_bytes(), SuiteKind.MULTIPLE_CHOICE, name=suite.name)
            questions = [item for item in items if isinstance(item, Question)]
            results[suite.name] = await compare(url, model, questions[:: max(1, len(questions) // most)][:most], folder)
    return results


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("suites", type=Path, nargs="+")
    options.add_argument("--items", type=int, default=100)
    options.add_argument("--model", type=Path)
    options.add_argument("--dtype", default="float32")
    options.add_argument("--json", type=Path)
    stated = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = stated.model or random_model(folder / "model")
        results = asyncio.run(measure(model, stated.suites, stated.items, folder, dtype=stated.dtype))
    for suite, ways in results.items():
        for way, shares in ways.items():
            print(
                f"{suite:40}{way:10}same choice {shares['same']:7.1%} (aim {AIM:.0%}); right: {shares['ours']:.1%}, "
                f"lm-eval {shares['lm-eval']:.1%}; different: {', '.join(shares['different'][:5]) or 'none'}"
            )
    if stated.json:
        stated.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
