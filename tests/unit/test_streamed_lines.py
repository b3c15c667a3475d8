"""Streams of JSON are cut at line feeds alone, and an answer that breaks off is an error."""

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from posology.cli.commands.serving import _pieces
from posology.core.errors import Unavailable
from posology.core.streamed_lines import lines, lines_as_they_come

SEPARATORS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"


class Pieces(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces of three bytes, through the middle of characters."""

    def __init__(self, text: str) -> None:
        raw = text.encode()
        self._pieces = [raw[i : i + 3] for i in range(0, len(raw), 3)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


@pytest.mark.parametrize("separator", SEPARATORS)
async def test_only_line_feeds_end_a_line(separator: str) -> None:
    text = f"a{separator}b\r\n\nc{separator}"
    wanted = [f"a{separator}b", "", f"c{separator}"]
    assert list(lines(httpx.Response(200, stream=Pieces(text)))) == wanted
    assert [line async for line in lines_as_they_come(httpx.Response(200, stream=Pieces(text)))] == wanted


def event(text: str) -> str:
    return f"data: {json.dumps({'choices': [{'delta': {'content': text}}]}, ensure_ascii=False)}\n\n"


def test_an_answer_with_line_separators_is_shown_whole() -> None:
    response = httpx.Response(200, stream=Pieces(event("one\u2028two\x85") + event(" three") + "data: [DONE]\n\n"))
    assert "".join(_pieces(response)) == "one\u2028two\x85 three"


@pytest.mark.parametrize(
    ("end", "says"),
    [("", "too early"), ('data: {"error": {"message": "the engine went away"}}\n\n', "the engine went away")],
)
def test_an_answer_that_breaks_off_is_an_error_behind_what_came(end: str, says: str) -> None:
    pieces = _pieces(httpx.Response(200, stream=Pieces(event("Take") + end)))
    assert next(pieces) == "Take"
    with pytest.raises(Unavailable, match=says):
        list(pieces)
