"""Calls of a chat completions API: adaptive concurrency, retries with jitter, Retry-After, output bound by a schema.

The one client of teachers and judges; both run in workers.
"""

import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import httpx

from posology.core.errors import Cancelled, InvalidInput, PermissionDenied, Unavailable
from posology.core.model_endpoints.access import ModelAccess
from posology.core.model_endpoints.domain import Usage
from posology.core.retries import Backoff, retry_after

_TRIES = 5
_BACKOFF = Backoff(first=0.5, longest=60.0)  # the server's Retry-After may ask for up to the longest, too
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_TOO_MUCH = frozenset({429, 503, 529})
# What servers understand of bound output, strictest first; one that refuses a form is not asked for it again.
_FORMS = ("json_schema", "json_object", "text")
_CODES = frozenset({
    "content_filter", "content_policy_violation", "context_length_exceeded", "insufficient_quota", "invalid_api_key",
    "invalid_prompt", "invalid_request_error", "max_tokens_exceeded", "model_not_found", "rate_limit_exceeded",
    "server_error", "string_above_max_length", "tokens_exceeded", "unsupported_parameter", "unsupported_value",
})  # fmt: skip


_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
"""Of JSON; letters that stand for line ends and the like are in no key."""


class OverBudget(Exception):
    """All runs together have used what the endpoint's operator allows."""


class Refused(Exception):
    """The model declined, or a content filter did; asking again would not help."""


class Rejected(Exception):
    """The API refuses this one request (too long, not allowed); others may pass."""


@dataclass(frozen=True)
class Completion:
    """The text of an answer, the tokens that it cost, and whether it was cut off at the model's limit."""

    content: str
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cut: bool = False


class Throttle:
    """How many calls may be in flight: one more after each round of good answers, half after "too many requests"."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = float(min(most, 4))
        self._running = 0
        self._not_before = 0.0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """Calls that may be in flight now."""
        return max(1, int(self._limit))

    def enter(self, stopping: threading.Event) -> None:
        """Wait for a turn; Cancelled when the job is stopped meanwhile."""
        with self._changed:
            while self._running >= self.limit or time.monotonic() < self._not_before:
                if stopping.is_set():
                    raise Cancelled("stopped while waiting for a model endpoint")
                self._changed.wait(min(0.2, max(0.01, self._not_before - time.monotonic())))
            self._running += 1

    def leave(self, *, overloaded: bool, pause: float = 0.0) -> None:
        """End a call; an overloaded server is left alone by all for `pause` seconds."""
        with self._changed:
            self._running -= 1
            self._limit = max(1.0, self._limit / 2) if overloaded else min(self._most, self._limit + 1 / self._limit)
            if overloaded:
                self._not_before = max(self._not_before, time.monotonic() + pause)
            self._changed.notify_all()


class Calls:
    """One HTTP client for all calls of a job; safe to share between threads."""

    def __init__(
        self,
        access: ModelAccess,
        *,
        timeout: float,
        stopping: threading.Event,
        in_flight: int = 8,
        transport: httpx.BaseTransport | None = None,
        backoff: Backoff | None = None,
        max_tokens: int = 0,
        declines: Callable[[str], object] = lambda text: False,
    ) -> None:
        """`timeout` in seconds a call; `max_tokens` of an answer, 0 = the server's own; `declines` knows an
        answer that is a refusal."""
        headers = {"Authorization": f"Bearer {access.key}"} if access.key else {}
        self._client = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=10),
            transport=transport or access.transport(),
            follow_redirects=False,  # no key follows one
        )
        self._url = f"{access.endpoint.address}/chat/completions"
        self._key = access.key
        self._name = f"the model endpoint {access.endpoint.name}"
        self._meter = access.meter
        self._timeout = timeout
        self._stopping = stopping
        self._throttle = Throttle(in_flight)
        self._backoff = backoff or _BACKOFF
        self._limits = {"max_tokens": max_tokens} if max_tokens else {}
        self._declines = declines
        self._form = 0
        self._answered = False
        self._jitter = random.Random()

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def complete(
        self, model: str, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any] | None = None
    ) -> Completion:
        """One completion, bound by `schema` as far as the server can.

        Unavailable after the last try, Refused when the model declines, Rejected when the API refuses this request;
        PermissionDenied for a wrong key or a refused address, InvalidInput for a wrong address or model, which no other
        call survives; OverBudget once all runs together have used what the endpoint allows. No error holds what the
        server wrote, nor where it is: users may know neither.
        """
        why = ""
        tries = 0
        while tries < _TRIES:
            if limit := self._meter.used_up():
                raise OverBudget(f"{self._name}: {limit} by all runs together; its operator can raise the budget")
            form = self._form
            body = {"model": model, "messages": list(messages), "temperature": 0} | self._limits
            body |= _format(_FORMS[form], schema)
            self._throttle.enter(self._stopping)
            overloaded, pause = False, self._pause(tries)
            try:
                response = self._client.post(self._url, json=body)
                overloaded = response.status_code in _TOO_MUCH
                if overloaded:
                    asks = retry_after(response.headers.get("retry-after", ""), otherwise=0.0)
                    pause = asks + self._jitter.uniform(0, 0.1) * asks if asks else pause
            except httpx.TimeoutException:
                why, response = f"no answer within {self._timeout:g} s", None
            except httpx.TransportError as error:
                why, response = type(error).__name__, None
            except PermissionDenied as error:  # of the address
                raise PermissionDenied(f"{self._name}: {error.message}; its operator can mend it") from None
            finally:
                self._throttle.leave(overloaded=overloaded, pause=min(pause, self._backoff.longest))
            if response is not None and response.status_code not in _AGAIN:
                if response.status_code in (400, 422) and self._weaker_form(form, response):
                    continue  # the form was refused, not the request: that is no try of it
                return self._counted(self._read(response), messages)
            why = f"HTTP {response.status_code}" if response is not None else why
            tries += 1
            if tries < _TRIES and self._stopping.wait(min(pause, self._backoff.longest)):
                raise Cancelled("stopped while waiting for a model endpoint")
        raise Unavailable(f"{self._name}: {why}, after {_TRIES} tries")

    def _counted(self, completion: Completion, messages: Sequence[Mapping[str, str]]) -> Completion:
        """What the server says that it took, or about that where it says nothing. An answer that holds the key is
        thrown away: it would end up in a data set."""
        sent = sum(len(turn["content"]) for turn in messages) // 4
        prompt = completion.prompt_tokens or sent
        self._meter.count(Usage(prompt, completion.completion_tokens or len(completion.content) // 4))
        return replace(completion, content="") if self._holds_key(completion.content) else completion

    def _holds_key(self, text: str) -> bool:
        """Whether the key stands in a text, also as JSON escapes it: what asks reads JSON. Servers for tests and
        proxies echo what they were sent."""
        if not self._key:
            return False
        unescaped = _ESCAPE.sub(lambda at: chr(int(at[1], 16)) if at[1] else at[2], text)
        return self._key in text or self._key in unescaped

    def _pause(self, failures: int) -> float:
        return self._backoff.pause(failures + 1) * self._jitter.uniform(0.75, 1.25)

    def _weaker_form(self, form: int, response: httpx.Response) -> bool:
        """Whether the server does not know this form of bound output; a weaker one is used from now on."""
        text = response.text[:2000].casefold()
        about_form = any(
            word in text for word in ("response_format", "json_schema", "json_object", "schema", "structured")
        )
        if form + 1 < len(_FORMS) and (about_form or not self._answered):
            self._form = max(self._form, form + 1)
            return True
        return self._form > form

    def _read(self, response: httpx.Response) -> Completion:
        status = response.status_code
        if status in (401, 403):
            raise PermissionDenied(f"{self._name} refuses the key (HTTP {status}); its operator can mend the secret")
        if status == 404 and not self._answered:
            raise InvalidInput(f"{self._name} has no such address or model (HTTP 404); its operator can mend them")
        if 300 <= status < 400:
            raise PermissionDenied(
                f"{self._name} sends callers on to another address (HTTP {status}), which no key follows; its operator "
                "can set the address that answers"
            )
        if not 200 <= status < 300:
            raise Rejected(f"HTTP {status}{_reason(response)}")
        self._answered = True
        try:
            completion = _completion(response)
            if "{" not in completion.content and self._declines(completion.content):
                raise Refused(completion.content)
        except Refused as refusal:
            said = str(refusal)
            raise Refused("" if self._holds_key(said) else said[:200]) from None
        return completion


def _format(form: str, schema: Mapping[str, Any] | None) -> dict[str, Any]:
    if form == "text":
        return {}
    if form == "json_object" or schema is None:
        return {"response_format": {"type": "json_object"}}
    wrapped = {"name": "answer", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": wrapped}}


def _reason(response: httpx.Response) -> str:
    """The API's code for what is wrong, where it is one that OpenAI documents: never words of whatever answered."""
    try:
        error = response.json()["error"]
        codes = [error.get("code"), error.get("type")]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ""
    known = [code for code in codes if isinstance(code, str) and code in _CODES]
    return f" ({known[0]})" if known else ""


def _completion(response: httpx.Response) -> Completion:
    """The first choice; a body that is no completion has no content: that is nonsense, to be judged as such."""
    try:
        body = response.json()
        choice = body["choices"][0]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        return Completion("")
    if not isinstance(choice, dict):
        return Completion("")
    usage = body.get("usage") if isinstance(body.get("usage"), dict) else {}
    cut = choice.get("finish_reason") == "length"
    return Completion(_text(choice), _count(usage, "prompt_tokens"), _count(usage, "completion_tokens"), cut)


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and 0 <= value < 10**9 else 0


def _text(choice: Mapping[str, Any]) -> str:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    content = message.get("content") or ""
    if isinstance(content, list):
        content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    content = str(content)
    if message.get("refusal"):
        raise Refused(str(message["refusal"]))
    if choice.get("finish_reason") == "content_filter":
        raise Refused("stopped by the provider's content filter")
    return content
