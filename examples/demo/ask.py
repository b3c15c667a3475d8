"""Asking the served model through the gateway, as an application does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx

from posology.client import Client

PROVENANCE = "x-posology-"
REFUSALS = ("can't", "cannot", "can not", "won't", "unable", "not able", "sorry", "must not")


async def ask(client: Client, *, model: str, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each question's answer with its provenance headers; a key is made for it and revoked after."""
    key = await client.create_key("demo")
    try:
        return [await _one(client, key.secret, model, question) for question in questions]
    finally:
        await client.revoke_key(key.name)


async def _one(client: Client, secret: str, model: str, question: dict[str, Any]) -> dict[str, Any]:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": question["prompt"]}],
        "max_tokens": 32,
        "temperature": 0,
    }
    url = client.installation.require_gateway()
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {secret}"}, timeout=120) as http:
        response = await http.post("/v1/chat/completions", json=body)
    response.raise_for_status()
    return {
        **question,
        "answer": response.json()["choices"][0]["message"]["content"].strip(),
        "provenance": {
            name.removeprefix(PROVENANCE): value
            for name, value in response.headers.items()
            if name.startswith(PROVENANCE)
        },
    }


def is_right(answer: dict[str, Any]) -> bool:
    """Whether the expected words stand in the answer; a refusal is told by its own words."""
    text = answer["answer"].casefold()
    if answer["expected"] == "a refusal":
        return any(sign in text for sign in REFUSALS)
    expected = re.escape(answer["expected"].casefold())  # whole words: 2 mg does not stand in 12 mg
    return re.search(rf"(?<![\w.]){expected}(?!\w)", text) is not None


def score(answers: list[dict[str, Any]]) -> str:
    """How many of the shown answers are right, in a sentence."""
    right = sum(is_right(answer) for answer in answers)
    return f"{right} of {len(answers)} shown answers are right, {len(answers) - right} wrong"


def clinical_questions(suite: Path, *, count: int) -> list[dict[str, Any]]:
    """The first items of an open-book suite that differ in what they ask, with the answer that the excerpt gives."""
    items = [json.loads(line) for line in suite.read_text(encoding="utf-8").splitlines()]
    by_type = {item["id"].rsplit("-", 1)[1]: item for item in reversed(items)}
    return [
        {
            "prompt": f"Excerpt: {item['context']}\nQuestion: {item['question']}",
            "expected": item["choices"][item["answer"]],
        }
        for item in list(by_type.values())[-count:]
    ]
