"""From a checked request to a response: provenance in the headers, the record durable before the bytes."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
from starlette.responses import Response

from posology.core.errors import PosologyError
from posology.core.redaction import redacted, redacted_json
from posology.gateway import metrics
from posology.gateway.answers import AnswerLog, digest
from posology.gateway.domain import Answer, AnswerState, ApiKey, EngineLost
from posology.gateway.events import DONE, events, is_usage_only, payload
from posology.gateway.openai import ResponseAccumulator, error_event
from posology.gateway.requests import ChatRequest
from posology.gateway.streaming import EventStream
from posology.gateway.upstream import Upstream, UpstreamResponse


@dataclass
class _Call:
    """One request under way: what was asked, who answers, and what was heard so far."""

    ask: ChatRequest
    taken: UpstreamResponse
    answer: Answer
    heard: ResponseAccumulator
    started: float
    redact: Callable[[str], str]

    def ended(self, state: AnswerState) -> Answer:
        """The record as it stands now, ended by `state`; `text` is kept only where the record keeps a prompt."""
        keep = self.answer.prompt is not None
        return replace(
            self.answer,
            state=state,
            answer_hash=digest(self.heard.text),
            text=self.redact(self.heard.text) if keep else None,
            finish_reason=self.heard.finish_reason,
            prompt_tokens=self.heard.prompt_tokens,
            completion_tokens=self.heard.completion_tokens,
            latency_ms=(time.monotonic() - self.started) * 1000,
        )


def provenance_headers(answer: Answer) -> dict[str, str]:
    """Headers on every answer, streamed or not: which weights said this, and on what evidence they serve."""
    headers = {
        "x-posology-answer": answer.name,
        "x-posology-deployment": answer.deployment,
        "x-posology-model-digest": answer.provenance.model_digest,
        "x-posology-verdict": answer.provenance.verdict_digest,
        "x-posology-run": answer.provenance.run,
        "x-posology-dataset": answer.provenance.dataset,
        "x-posology-policy": answer.provenance.policy,
    }
    return {name: value for name, value in headers.items() if value}


class Answering:
    """Answers requests; `keep_text` says whether records hold prompts and answers or their hashes only."""

    def __init__(self, upstream: Upstream, log: AnswerLog, *, keep_text: bool, redact_text: bool = True) -> None:
        self._upstream = upstream
        self._log = log
        self._keep_text = keep_text
        self._redact = redacted if redact_text else str
        self._redact_prompt = redacted_json if redact_text else str
        self.cutting = False
        self._ending: set[asyncio.Task[None]] = set()

    async def answer(
        self, ask: ChatRequest, key: ApiKey, stack: AsyncExitStack, headers: Mapping[str, str], answer_id: str
    ) -> Response:
        """Ask an engine; a streamed response owns `stack` and closes it at its end."""
        started = time.monotonic()
        taken = await stack.enter_async_context(
            self._upstream.ask(ask, namespace=key.namespace, answer_id=answer_id, longest=key.limits.max_tokens)
        )
        if taken.response.status != 200:
            return await _engine_refusal(taken.response)
        answer = self._record(ask, key, taken, answer_id)
        call = _Call(ask, taken, answer, ResponseAccumulator(ask.kind), started, self._redact)
        headers = {**headers, **provenance_headers(answer)}
        if ask.stream:
            await self._begin(call)
            return EventStream(self._events(call, stack.pop_all()), headers=headers)
        return await self._whole(call, headers)

    async def settled(self) -> None:
        """Returns once the records of all ended answers are written."""
        while self._ending:
            await asyncio.wait(set(self._ending))

    def _record(self, ask: ChatRequest, key: ApiKey, taken: UpstreamResponse, answer_id: str) -> Answer:
        return Answer(
            id=answer_id,
            namespace=key.namespace,
            key_id=key.id,
            created_at=datetime.now(UTC),
            kind=ask.kind,
            model=ask.model,
            deployment=taken.backend.deployment,
            agent=taken.endpoint.url,
            provenance=taken.backend.provenance,
            streamed=ask.stream,
            prompt_hash=digest(ask.prompt),
            prompt=self._redact_prompt(ask.prompt) if self._keep_text else None,
        )

    async def _whole(self, call: _Call, headers: Mapping[str, str]) -> Response:
        """Read the engine's whole body, record it, and hand it on unchanged."""
        try:
            raw = await call.taken.response.read()
            call.heard.listen(json.loads(raw))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise EngineLost("the engine went away before its answer was whole; ask again") from error
        if call.heard.cut:
            raise EngineLost("the engine was stopped before its answer was whole; ask again")
        answer = call.ended(AnswerState.COMPLETE)
        await self._log.add(answer)
        metrics.observe(answer)
        return Response(raw, media_type="application/json", headers=dict(headers))

    async def _begin(self, call: _Call) -> None:
        """Record that an answer runs; meanwhile the engine reads the prompt, so this costs a stream nothing."""
        try:
            await self._log.begin(call.answer)
        except asyncio.CancelledError:
            self._later(self._end(call, AnswerState.CLIENT_LEFT))
            raise

    async def _events(self, call: _Call, stack: AsyncExitStack) -> AsyncIterator[bytes]:
        """The engine's events, unchanged; the last one leaves only after the record is complete on disk."""
        state = AnswerState.CLIENT_LEFT
        try:
            async for event in self._heard(call):
                yield event
            state = AnswerState.COMPLETE
            await self._end(call, state)
            yield DONE
        except PosologyError as error:
            if state is not AnswerState.COMPLETE:  # the engine failed; otherwise the record could not be written
                state = AnswerState.FAILED
                await self._end(call, state)
            yield error_event(error)
        finally:
            if state is AnswerState.CLIENT_LEFT:
                self._later(
                    self._end(call, AnswerState.FAILED if self.cutting else state)
                )  # this task is being cancelled and must not wait
            await stack.aclose()

    async def _heard(self, call: _Call) -> AsyncIterator[bytes]:
        """Events up to `[DONE]`; EngineLost when the stream ends without it or says that it was cut."""
        try:
            async for event in events(call.taken.response.content.iter_any()):
                if event == DONE:
                    return
                if (message := payload(event)) is None or not _listen(call, message):
                    yield event
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineLost("the engine went away in the middle of this answer; ask again") from error
        raise EngineLost("the engine ended in the middle of this answer; ask again")

    async def _end(self, call: _Call, state: AnswerState) -> None:
        answer = call.ended(state)
        await self._log.finish(answer)
        metrics.observe(answer)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


def _listen(call: _Call, message: dict[str, Any]) -> bool:
    """Take in one event; whether it is to be kept from the client. EngineLost if it says the answer was cut."""
    if "error" in message:
        raise EngineLost("the engine failed in the middle of this answer; ask again")
    call.heard.listen(message)
    if call.heard.cut:
        raise EngineLost("the engine was stopped in the middle of this answer; ask again")
    return is_usage_only(message) and not call.ask.wants_usage


async def _engine_refusal(response: aiohttp.ClientResponse) -> Response:
    """What the engine says is wrong with the request, as it says it; its own failures become ours."""
    if response.status >= 500:
        raise EngineLost("the engine failed on this request; ask again")
    raw = await response.read()
    return Response(raw, status_code=response.status, media_type="application/json")
