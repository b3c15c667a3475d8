"""The judge at work: every pair in both orders, a few at a time, within the endpoint's budget."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from posology.core.errors import FailedPrecondition, InvalidInput, PermissionDenied, Unavailable
from posology.core.jobs.worker.runtime import Stopped
from posology.core.model_endpoints.access import ModelAccess
from posology.core.model_endpoints.domain import Usage
from posology.core.retries import Backoff, retry_after
from posology.evaluation import judging
from posology.evaluation.domain import Answer, Calibrated, Judgement, Preference
from posology.evaluation.judging import Compared
from posology.evaluation.questions import Item
from posology.evaluation.refusals import without_thoughts

_TRIES, _SECONDS, _IN_FLIGHT, _MOST_TOKENS = 4, 120.0, 4, 300
_BACKOFF = Backoff(first=0.5, longest=30.0)
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class Judge:
    """One model at one endpoint. What it says is read and never believed: the gate holds it against experts."""

    def __init__(
        self,
        access: ModelAccess,
        model: str,
        stopping: threading.Event,
        *,
        transport: httpx.BaseTransport | None = None,
        backoff: Backoff = _BACKOFF,
    ) -> None:
        self._access, self._model, self._stopping, self._backoff = access, model, stopping, backoff
        self._name = f"the model endpoint {access.endpoint.name}"
        headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(_SECONDS, connect=10),
            transport=transport or access.transport(),
            follow_redirects=False,
        )

    def compare(
        self,
        prompts: Sequence[Item],
        base: Sequence[Answer],
        tuned: Sequence[Answer],
        *,
        on_item: Callable[[], None] = lambda: None,
    ) -> list[Judgement]:
        """Each prompt's two answers, in both orders, as preference for the candidate."""
        asked = {item.id: item.prompt for item in prompts}
        after = {answer.id: answer for answer in tuned}

        def one(answer: Answer) -> Judgement:
            first, second = without_thoughts(answer.text), without_thoughts(after[answer.id].text)
            orders = self._both(asked[answer.id], first, second)
            on_item()
            return Judgement(answer.id, answer.cluster, orders, len(first.split()), len(second.split()))

        return self._all(one, base)

    def calibrate(self, pairs: Sequence[Compared]) -> list[Calibrated]:
        """What it says of pairs that experts compared."""
        return self._all(lambda pair: Calibrated(self._both(pair.prompt, pair.a, pair.b), pair.expert), pairs)

    def _all(self, one: Callable[[Any], Any], pairs: Sequence[Any]) -> list[Any]:
        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            futures = [pool.submit(one, pair) for pair in pairs]
            try:
                return [future.result() for future in futures]
            except BaseException:
                for future in futures:
                    future.cancel()
                raise

    def _both(self, prompt: str, a: str, b: str) -> tuple[Preference, Preference]:
        first = judging.read(self._ask(judging.messages(prompt, a, b)))
        second = judging.turned(judging.read(self._ask(judging.messages(prompt, b, a))))
        return first, second

    def _ask(self, messages: list[dict[str, str]]) -> str:
        """What it answers; empty where it answers this one not at all. Errors that no other call survives are raised;
        none of them holds what the server wrote."""
        body = {"model": self._model, "messages": messages, "temperature": 0, "max_tokens": _MOST_TOKENS}
        why = ""
        for attempt in range(1, _TRIES + 1):
            if self._stopping.is_set():
                raise Stopped
            if limit := self._access.meter.used_up():
                raise FailedPrecondition(
                    f"{self._name}: {limit} by all runs together; its operator can raise the budget"
                )
            pause = self._backoff.pause(attempt)
            try:
                response = self._http.post(f"{self._access.endpoint.address}/chat/completions", json=body)
            except httpx.TransportError as error:
                why = type(error).__name__
            else:
                if response.status_code not in _AGAIN:
                    return self._read(response, messages)
                why = f"HTTP {response.status_code}"
                pause = min(retry_after(response.headers.get("retry-after", ""), otherwise=pause), 30.0)
            if attempt < _TRIES and self._stopping.wait(pause):
                raise Stopped
        raise Unavailable(f"{self._name}: {why}, after {_TRIES} tries")

    def _read(self, response: httpx.Response, messages: list[dict[str, str]]) -> str:
        status = response.status_code
        if status in (401, 403) or 300 <= status < 400:
            raise PermissionDenied(f"{self._name} refuses the call (HTTP {status}); its operator can mend it")
        if status == 404:
            raise InvalidInput(f"{self._name} has no such address or model (HTTP 404); its operator can mend them")
        if status != 200:
            return ""  # this one request is refused (too long, filtered): unscored, and counted as such
        try:
            answer: Mapping[str, Any] = response.json()
            text = answer["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            return ""
        sent = sum(len(turn["content"]) for turn in messages) // 4
        text = text if isinstance(text, str) else ""
        self._access.meter.count(Usage(sent, len(text) // 4))
        return text
