"""Bytes that nobody meant as a source, found by coverage: `sources.py SPL|OPENFDA|JSONL FOLDER... [options]`.

Whatever a file holds, its reader gives sections and pairs that can be stored and seen, or says that it is unreadable.
The options are libFuzzer's.
"""

import sys

import atheris

with atheris.instrument_imports(include=["posology.curation.sources"]):
    from posology.curation.sources import FORMATS, Document, Parsed, Unreadable

from posology.core.visible import hidden, visible

FORMAT = FORMATS[sys.argv.pop(1)]


def one_input(data: bytes) -> None:
    try:
        for parsed in FORMAT.read(Document("fuzzed", data)):
            for text in texts(parsed):
                text.encode()
                assert not hidden(text), f"{visible(text)!r} holds what nobody sees"
    except Unreadable as error:
        str(error).encode()


def texts(parsed: Parsed) -> list[str]:
    sections = [text for section in parsed.sections for text in (section.text, section.title, section.drug)]
    pairs = [text for pair in parsed.pairs for text in (pair.answer, pair.drug, *(m.content for m in pair.prompt))]
    drops = [text for drop in parsed.drops for text in (drop.reason, drop.detail)]
    return [*sections, *pairs, *drops]


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
