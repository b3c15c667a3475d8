"""Bytes of text files -> text, or a reason why not."""

import codecs

from posology.curation.sources import Unreadable

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes) -> str:
    """Text in UTF-8, or in UTF-16/32 with a byte order mark; nothing is guessed, because a wrong guess alters doses."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"is not {encoding.upper()}: byte {error.start} is 0x{data[error.start]:02x}; save it as UTF-8"
        ) from None
    if "\x00" in text:
        raise Unreadable("holds NUL characters, so it is binary or UTF-16 without a byte order mark; save it as UTF-8")
    return text
