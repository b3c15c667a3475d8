"""What a worker asks of its engine over HTTP, with a bounded number of requests in flight."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from posology.core.errors import Internal, InvalidInput, Unavailable
from posology.engine.reach import http_client

_SECONDS = 300.0


@dataclass(frozen=True)
class Generated:
    """A greedy answer: its text, all token ids, and whether it ended by itself."""

    text: str
    prompt_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]
    finished: bool


class EngineClient:
    """One engine; every call takes one place of `in_flight`."""

    def __init__(self, http: httpx.AsyncClient, *, name: str, in_flight: int, context: int = 0) -> None:
        self._http = http
        self._name = name
        self._context = context
        self._places = asyncio.Semaphore(in_flight)
        self.in_flight = in_flight

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, *, name: str, in_flight: int, context: int = 0) -> AsyncIterator["EngineClient"]:
        """A client with as many connections as requests in flight; `context` is the model's length, 0 if unknown."""
        limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
        async with http_client(url, timeout=_SECONDS, limits=limits) as http:
            yield cls(http, name=name, in_flight=in_flight, context=context)

    async def likelihoods(self, sequences: Sequence[Sequence[int]]) -> list[list[float | None]]:
        """For each sequence of token ids, the log-probability of each token given those before; the first is None.

        One request for all of them. Echo with no new tokens is the cheapest way to prompt log-probabilities: half
        the response of `prompt_logprobs`, and the same numbers.
        """
        choices = await self._echo(sequences, top=0)
        return [list(choice["logprobs"]["token_logprobs"]) for choice in choices]

    async def distributions(self, sequence: Sequence[int], *, top: int, last: int) -> list[dict[int, float]]:
        """At each of the `last` places (never the very first) the `top` likeliest tokens and the actual one, by id."""
        [choice] = await self._echo([sequence], top=top)
        places = choice["logprobs"]["top_logprobs"][1:]
        return [_by_id(place) for place in places[-last:]]

    async def next_token(self, prompt: Sequence[int], candidates: Sequence[int]) -> list[float | None]:
        """Log-probabilities of `candidates` as the token after `prompt`."""
        body = {
            "prompt": list(prompt),
            "max_tokens": 1,
            "temperature": 0,
            "logprobs": len(candidates),
            "logprob_token_ids": list(candidates),
            "return_tokens_as_token_ids": True,
        }
        [choice] = await self._completions(body)
        scores = _by_id(choice["logprobs"]["top_logprobs"][0])
        return [scores.get(candidate) for candidate in candidates]

    async def generate(self, prompt: str, *, max_tokens: int) -> Generated:
        """The greedy answer to a user's turn under the served chat template."""
        body = {
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": max_tokens,
            "temperature": 0,
            "return_token_ids": True,
        }
        answer = await self._post("/v1/chat/completions", body)
        [choice] = answer["choices"]
        return Generated(
            text=choice["message"]["content"] or "",
            prompt_token_ids=tuple(answer["prompt_token_ids"]),
            token_ids=tuple(choice["token_ids"]),
            finished=choice["finish_reason"] == "stop",
        )

    async def complete(self, prompt: Sequence[int], *, max_tokens: int, stop: Sequence[str]) -> str:
        """The greedy continuation of token ids, up to the first of `stop`, which is no part of it."""
        body = {"prompt": list(prompt), "max_tokens": max_tokens, "temperature": 0, "stop": list(stop)[:4]}
        [choice] = await self._completions(body)
        return str(choice["text"])

    def room(self, answer: Generated, *, at_most: int) -> int:
        """Tokens that another answer to the same prompt may have: what the context leaves, and no more than this."""
        return min(at_most, self._context - len(answer.prompt_token_ids))

    def check_room(self, tokens: int, *, about: str) -> None:
        """InvalidInput for a prompt that leaves no room for an answer."""
        if self._context and tokens >= self._context:
            raise InvalidInput(
                f"{about} takes {tokens} tokens, and the model's length is {self._context}: lower "
                "evaluation.baseline.fewShot, take shorter items, or raise evaluation.engine.maxModelLen"
            )

    async def _echo(self, sequences: Sequence[Sequence[int]], *, top: int) -> list[dict[str, Any]]:
        body = {
            "prompt": [list(sequence) for sequence in sequences],
            "max_tokens": 0,
            "echo": True,
            "temperature": 0,
            "logprobs": top,
            "return_tokens_as_token_ids": True,
        }
        choices = await self._completions(body)
        for sequence, choice in zip(sequences, choices, strict=True):
            if len(choice["logprobs"]["token_logprobs"]) != len(sequence):
                raise Internal("the engine scored another number of tokens than it was given; its echo is broken")
        return choices

    async def _completions(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        choices: list[dict[str, Any]] = (await self._post("/v1/completions", body))["choices"]
        return sorted(choices, key=lambda choice: int(choice["index"]))

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        async with self._places:
            try:
                answer = await self._http.post(path, json={"model": self._name, **body})
            except httpx.TransportError as error:
                raise Unavailable(f"the engine does not answer {path}: {error!r}") from error
        if answer.status_code != httpx.codes.OK:
            raise Internal(f"the engine answered {path} with {answer.status_code}: {answer.text[:500]}")
        return answer.json()


def _by_id(place: dict[str, float] | None) -> dict[int, float]:
    return {int(token.removeprefix("token_id:")): score for token, score in (place or {}).items()}
