"""Prompts with their greedy tokens: recorded when a model is evaluated, replayed before it serves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from posology.engine.reach import http_client


@dataclass(frozen=True)
class Probe:
    """One prompt, its token ids after the template, and the greedy answer's token ids."""

    prompt: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "prompt": self.prompt,
            "promptTokenIds": list(self.prompt_token_ids),
            "tokenIds": list(self.token_ids),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Probe":
        return cls(values["prompt"], tuple(values["promptTokenIds"]), tuple(values["tokenIds"]))


@dataclass(frozen=True)
class ProbeMismatch:
    """Where a replayed probe left the recorded one."""

    prompt: str
    reason: str


async def probe(url: str, prompts: Sequence[str], *, model: str, max_tokens: int = 32) -> tuple[Probe, ...]:
    """Greedy answers to `prompts`, each a user's turn under the chat template.

    One at a time: the same batch of one on both occasions keeps near-ties from falling differently.
    """
    async with http_client(url, timeout=120) as http:
        return tuple([await _one(http, prompt, model=model, max_tokens=max_tokens) for prompt in prompts])


async def _one(http: httpx.AsyncClient, prompt: str, *, model: str, max_tokens: int) -> Probe:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": max_tokens,
        "return_token_ids": True,
    }
    answer = await http.post("/v1/chat/completions", json=body)
    answer.raise_for_status()
    body = answer.json()
    return Probe(prompt, tuple(body["prompt_token_ids"]), tuple(body["choices"][0]["token_ids"]))


def mismatches(recorded: Iterable[Probe], replayed: Iterable[Probe]) -> tuple[ProbeMismatch, ...]:
    """Every probe whose prompt tokens (template) or answer tokens (weights) are not those recorded."""
    pairs = zip(recorded, replayed, strict=True)
    return tuple(ProbeMismatch(a.prompt, reason) for a, b in pairs if (reason := _reason(a, b)))


def _reason(recorded: Probe, replayed: Probe) -> str:
    if recorded.prompt_token_ids != replayed.prompt_token_ids:
        return "the chat template or the tokenizer gives other prompt tokens"
    if recorded.token_ids == replayed.token_ids:
        return ""
    steps = list(zip(recorded.token_ids, replayed.token_ids, strict=False))
    first = next((i for i, (a, b) in enumerate(steps) if a != b), len(steps))
    return f"the greedy answer differs from token {first} on"
