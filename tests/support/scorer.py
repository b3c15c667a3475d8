"""Scores a suite against an engine that is part of this process, for a test to kill or to measure.

    scorer.py FOLDER ITEMS SECONDS

Prints each item's number of requests so far, and at the end the digest of all scores and the growth of this process's
memory, as JSON. SECONDS is how long the engine takes for an answer.
"""

import asyncio
import hashlib
import json
import resource
import sys
from pathlib import Path
from typing import Any

import httpx

from posology.evaluation.domain import Choice, Scoring, Suite
from posology.evaluation.suites import Question
from posology.evaluation.worker.client import EngineClient
from posology.evaluation.worker.journal import Journal
from posology.evaluation.worker.scoring import score


class WordTemplate:
    """A template whose tokens are words, as ids; letters are the tokens 65 to 68."""

    def prompt(self, text: str) -> tuple[int, ...]:
        return tuple(len(word) for word in text.split())

    def letters(self, question: Question, shots: Any = ()) -> tuple[tuple[int, ...], tuple[int, ...]]:
        digest = hashlib.sha256(question.prompt.encode()).digest()
        return tuple(digest), (65, 66, 67, 68)


def engine(seconds: float) -> httpx.MockTransport:
    """vLLM's answers to a letter question: log-probabilities drawn from the prompt."""

    async def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if "messages" in body:
            ids = WordTemplate().prompt(body["messages"][0]["content"])
            choice = {"message": {"content": ""}, "token_ids": [], "finish_reason": "stop", "index": 0}
            return httpx.Response(200, json={"choices": [choice], "prompt_token_ids": ids})
        await asyncio.sleep(seconds)
        print("request", flush=True)
        top = {f"token_id:{token}": -float(byte) for token, byte in zip((65, 66, 67, 68), body["prompt"], strict=False)}
        return httpx.Response(200, json={"choices": [{"index": 0, "logprobs": {"top_logprobs": [top]}}]})

    return httpx.MockTransport(answer)


def questions(count: int) -> list[Question]:
    """As long as those of MMLU on average: about 60 words with the options."""
    words = "A patient takes the drug for some weeks and then asks what to do about a missed evening dose " * 2
    return [
        Question(f"q{i}", f"{words}{i}?", tuple(f"{option} of {i}" for option in "wxyz"), i % 4) for i in range(count)
    ]


async def main(folder: Path, count: int, seconds: float) -> None:
    items = questions(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    journal = Journal(folder, {"weights": "w", "suite": "s"})
    async with httpx.AsyncClient(transport=engine(seconds), base_url="http://engine") as http:
        client = EngineClient(http, name="model", in_flight=8)
        suite = Suite("mmlu", "d", scoring=Scoring.LETTER)
        template: Any = WordTemplate()
        scored = await score(client, template, suite, items, journal=journal, on_item=lambda: None)
    digest = hashlib.sha256()
    for item in scored:
        assert isinstance(item, Choice)
        digest.update(repr(item).encode())
    growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(json.dumps({"digest": digest.hexdigest(), "growth": growth, "items": len(scored)}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
