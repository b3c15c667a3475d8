"""Lines of a response that arrives piece by piece, cut at line feeds alone.

httpx cuts with `str.splitlines`, so at U+2028, U+0085 and four more, which JSON may hold unescaped.
"""

from collections.abc import AsyncIterator, Iterator

import httpx


def lines(response: httpx.Response) -> Iterator[str]:
    """Each line without its end; the last one also where no line feed follows it."""
    rest = b""
    for piece in response.iter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        yield from map(_text, whole)
    if rest:
        yield _text(rest)


async def lines_as_they_come(response: httpx.Response) -> AsyncIterator[str]:
    """`lines` for an asynchronous response."""
    rest = b""
    async for piece in response.aiter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield _text(line)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")
