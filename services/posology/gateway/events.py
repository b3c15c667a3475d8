"""Server-sent events: bytes in, whole events out, unchanged."""

import json
from collections.abc import AsyncIterator
from typing import Any

DONE = b"data: [DONE]\n\n"


async def events(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Cut a stream of bytes into events, each with its blank line; a last piece without one is dropped.

    A piece that an engine never finished is no event: forwarding it would hand a client half a JSON.
    """
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n\n")
        for event in whole:
            yield event + b"\n\n"


def payload(event: bytes) -> dict[str, Any] | None:
    """The JSON object of an event; None for comments, `[DONE]` and anything else."""
    if not event.startswith(b"data: {"):
        return None
    message = json.loads(event[6:])
    return message if isinstance(message, dict) else None


def is_usage_only(message: dict[str, Any]) -> bool:
    """vLLM's extra last event, which a client sees only if it asked for it."""
    return not message.get("choices") and "usage" in message
