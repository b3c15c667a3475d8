"""Scores a task of lm-evaluation-harness against an engine that is part of this process; prints what came out as JSON.

harness_run.py FOLDER TASK KIND: KIND is `choice` (rows in the form of ARC) or `text` (rows in the form of GSM8K). It
runs in the worker's environment, where the library may be; exit 3 where it is not.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx

from posology.core.errors import FailedPrecondition, InvalidInput
from posology.evaluation.domain import LmEvalTask
from posology.evaluation.worker import harness
from posology.evaluation.worker.client import EngineClient
from posology.evaluation.worker.journal import Journal

requests: list[dict[str, Any]] = []


class CharTemplate:
    """A tokenizer of characters and the plainest of chat templates."""

    def render(self, turns: list[dict[str, str]], *, add_generation_prompt: bool) -> str:
        text = "".join(f"<{turn['role']}>{turn['content']}" for turn in turns)
        return text + "<assistant>" * add_generation_prompt

    def encode(self, text: str) -> list[int]:
        return [ord(character) for character in text]


def engine() -> httpx.MockTransport:
    """Likes options that hold a `y`, and answers text questions with their number."""

    async def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        requests.append(body)
        if body.get("echo"):
            choices = []
            for index, ids in enumerate(body["prompt"]):
                scores = [None, *(-0.1 if chr(token) == "y" else -1.0 for token in ids[1:])]
                choices.append({"index": index, "logprobs": {"token_logprobs": scores, "top_logprobs": []}})
            return httpx.Response(200, json={"choices": choices})
        text = "".join(map(chr, body["prompt"]))
        number = text.rsplit("number ", 1)[1].split("?")[0]
        return httpx.Response(200, json={"choices": [{"index": 0, "text": f" It is so.\n#### {number}"}]})

    return httpx.MockTransport(answer)


def rows(kind: str) -> list[dict[str, Any]]:
    if kind == "text":
        return [
            {"question": f"What is number {i}?", "answer": f"It is so.\n#### {i if i % 3 else 99}"} for i in range(9)
        ]
    return [
        {
            "id": f"a{i}",
            "question": f"Which is {i}?",
            "choices": {"text": ["x", "y", "zz"], "label": ["A", "B", "C"]},
            "answerKey": "BAB"[i % 3],
        }
        for i in range(9)
    ]


async def main(folder: Path, task: LmEvalTask, kind: str) -> dict[str, Any]:
    made = harness.load(task, rows(kind)[task.few_shot :], rows(kind)[: task.few_shot])
    template: Any = CharTemplate()
    results = []
    for _ in range(2):  # the second time everything is known
        journal = Journal(folder, {"task": made.identity})
        async with httpx.AsyncClient(transport=engine(), base_url="http://engine") as http:
            client = EngineClient(http, name="model", in_flight=4)
            results.append(
                await harness.score(client, template, "s", made, task.metric, journal=journal, on_item=lambda: None)
            )
        journal.close()
        asked = len(requests)
    first = requests[0]["prompt"]
    return {
        "identity": made.identity,
        "right": [one.id for one in results[0] if one.correct],
        "ids": [one.id for one in results[0]],
        "same": results[0] == results[1],
        "valid": all(one.valid for one in results[0]),
        "requests": asked,
        "prompt": "".join(map(chr, first[0] if isinstance(first[0], list) else first)),
    }


if __name__ == "__main__":
    asked = LmEvalTask(**json.loads(sys.argv[2]))
    try:
        print("\n" + json.dumps(asyncio.run(main(Path(sys.argv[1]), asked, sys.argv[3]))))
    except FailedPrecondition:
        sys.exit(3)
    except InvalidInput as error:
        print("\n" + json.dumps({"error": error.message}))
