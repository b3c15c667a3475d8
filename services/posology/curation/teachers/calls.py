"""Calls of a chat completions API: timeouts, retries with backoff, Retry-After, and errors that say what to do."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from posology.core.errors import Cancelled, InvalidInput, PermissionDenied, Unavailable
from posology.core.retries import Backoff, retry_after
from posology.curation.text.refusal import refuses

_TRIES = 5
_BACKOFF = Backoff(first=0.5, longest=60.0)  # the server's Retry-After may ask for up to the longest, too
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})


class Refused(Exception):
    """The model declined, or a content filter did; asking again would not help."""


class Calls:
    """One HTTP client for all calls of a job; safe to share between threads."""

    def __init__(
        self,
        endpoint: str,
        key: str,
        *,
        timeout: float,
        stopping: threading.Event,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(timeout, connect=10), transport=transport)
        self._url = endpoint.rstrip("/") + "/chat/completions"
        self._timeout = timeout
        self._stopping = stopping

    def __enter__(self) -> "Calls":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def complete(self, model: str, messages: Sequence[Mapping[str, str]]) -> str:
        """The text of one completion. Unavailable after the last try, Refused when the model declines."""
        body = {
            "model": model,
            "messages": list(messages),
            "temperature": 0,
            "response_format": {"type": "json_object"},
        }
        why = ""
        for attempt in range(_TRIES):
            pause = _BACKOFF.pause(attempt + 1)
            try:
                response = self._client.post(self._url, json=body)
            except httpx.TimeoutException:
                why = f"no answer within {self._timeout:g} s"
            except httpx.TransportError as error:
                why = f"{type(error).__name__}: {error}"
            else:
                if response.status_code not in _AGAIN:
                    return self._content(response)
                why = f"HTTP {response.status_code}"
                pause = retry_after(response.headers.get("retry-after", ""), otherwise=pause)
            if attempt + 1 < _TRIES:
                self._wait(pause)
        raise Unavailable(f"{self._url}: {why}, after {_TRIES} tries")

    def _wait(self, seconds: float) -> None:
        if self._stopping.wait(min(seconds, _BACKOFF.longest)):
            raise Cancelled("stopped while waiting for the teacher")

    def _content(self, response: httpx.Response) -> str:
        if response.status_code in (401, 403):
            raise PermissionDenied(
                f"{self._url} refuses the key (HTTP {response.status_code}); check credentialsSecret"
            )
        if response.status_code >= 400:
            said = response.text[:300]
            raise InvalidInput(f"{self._url} refuses the request (HTTP {response.status_code}): {said}")
        return _text(_first_choice(response))


def _first_choice(response: httpx.Response) -> Mapping[str, Any]:
    """The first choice, or {} for a body that is no completion: that is nonsense, to be judged as such."""
    try:
        choice = response.json()["choices"][0]
    except (ValueError, KeyError, IndexError, TypeError):
        return {}
    return choice if isinstance(choice, dict) else {}


def _text(choice: Mapping[str, Any]) -> str:
    message = choice.get("message") or {}
    content = str(message.get("content") or "")
    if message.get("refusal"):
        raise Refused(str(message["refusal"])[:200])
    if choice.get("finish_reason") == "content_filter":
        raise Refused("stopped by the provider's content filter")
    if "{" not in content and refuses(content):
        raise Refused(content[:200])
    return content
