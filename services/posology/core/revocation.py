"""The list of revoked signing keys: read strictly, and closed on doubt.

A line that is not understood could be a key that an operator believes revoked, so nothing is skipped: the whole list is
refused, and with it every signature that it would have judged.
"""

import codecs
import re
from pathlib import Path

from posology.core.errors import FailedPrecondition

FILE = "revoked"
"""Name of the list, in the folder of public keys."""
_HEX = r"(?P<id>[0-9a-fA-F]{64})"
_FORMS = (
    re.compile(rf"(?:sha-?256:)?\s*{_HEX}", re.IGNORECASE),
    re.compile(rf"\\?{_HEX} [ *]\S.*"),  # sha256sum: `<hex>  -`, `<hex> *file`
    re.compile(rf"SHA2?-?256 ?\(.*\) ?= ?{_HEX}", re.IGNORECASE),  # openssl dgst, sha256sum --tag, shasum
)
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_LARGEST = 1_000_000  # bytes
_INVISIBLE = " \t\u00a0\u200b\ufeff"


class RevocationsUnreadable(FailedPrecondition):
    """Nobody can tell which keys are revoked; mend the file that the message names."""


def read_revoked(path: Path, *, required: bool = False) -> frozenset[str]:
    """Key ids (sha256 hex, lower case) that are revoked: one a line, `#` starts a comment.

    A line is an id, with or without `sha256:`, in either case, or a line of sha256sum or openssl. RevocationsUnreadable
    for everything else. Without the file none is revoked, unless it is `required`, its folder is missing too, or
    something that looks like the list under another name lies beside it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        _check_absent(path, required=required)
        return frozenset()
    except OSError as error:
        raise RevocationsUnreadable(f"the list of revoked keys {path} can't be read: {error.strerror}") from error
    return parse_revoked(content, origin=str(path))


def parse_revoked(content: bytes, *, origin: str) -> frozenset[str]:
    """The ids in a list's bytes, as `read_revoked`; RevocationsUnreadable names `origin`."""
    if len(content) > _LARGEST:
        raise RevocationsUnreadable(f"the list of revoked keys {origin} has more than {_LARGEST:,} bytes")
    lines = re.split(r"\r\n|\r|\n", _text(content, origin))
    ids = (_id(line, origin, number) for number, line in enumerate(lines, 1))
    return frozenset(key_id for key_id in ids if key_id)


def _check_absent(path: Path, *, required: bool) -> None:
    if path.is_symlink():
        raise RevocationsUnreadable(f"{path} is a link to a list of revoked keys that is not there")
    if required:
        raise RevocationsUnreadable(f"there is no list of revoked keys {path}; make the file, it may be empty")
    try:
        beside = sorted(file.name for file in path.parent.iterdir())
    except OSError as error:
        raise RevocationsUnreadable(f"the folder of the list of revoked keys {path} can't be read: {error}") from error
    alike = [name for name in beside if "revo" in name.casefold() and not name.endswith(".pub")]
    if alike:
        raise RevocationsUnreadable(f"{path} is not there, but {', '.join(alike)} is; rename the one that is meant")


def _text(content: bytes, origin: str) -> str:
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise RevocationsUnreadable(f"the list of revoked keys {origin} is no text in UTF-8: {error}") from error


def _id(line: str, origin: str, number: int) -> str:
    """The id in a line; empty for a blank one or a comment."""
    entry = line.partition("#")[0].strip(_INVISIBLE)
    if not entry:
        return ""
    match = next((match for form in _FORMS if (match := form.fullmatch(entry))), None)
    if match is None:
        raise RevocationsUnreadable(
            f"{origin}, line {number}: {entry[:80]!r} is no key id; write the 64 hex digits that "
            "`openssl pkey -pubin -in KEY.pub -outform DER | sha256sum` prints. Until then no signature counts"
        )
    return match["id"].lower()
