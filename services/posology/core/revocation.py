"""The list of revoked signing keys: read strictly, and closed on doubt.

A line that is not understood could be a key that an operator believes revoked, so nothing is skipped: the whole list is
refused, and with it every signature that it would have judged.
"""

import codecs
import hashlib
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
_ANY_ID = re.compile(r"[0-9a-fA-F]{64,}")
_LARGEST = 1_000_000  # bytes
_INVISIBLE = " \t\u00a0\u200b\ufeff"


class RevocationsUnreadable(FailedPrecondition):
    """Nobody can tell which keys are revoked; mend the file that the message names."""


def read_revoked(path: Path, *, required: bool = False) -> frozenset[str]:
    """Key ids (sha256 hex, lower case) that are revoked: one a line, `#` starts a comment.

    A line is an id, with or without `sha256:`, in either case, or a line of sha256sum or openssl. RevocationsUnreadable
    for everything else, and where one is the sum of a key's file instead of the key's. Without the file none is
    revoked, unless it is `required` or its folder is missing too. A file beside it that looks like the list under
    another name is one that an operator may have meant: it must not hold what the list does not.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        _check_absent(path, required=required)
        return frozenset()
    except OSError as error:
        raise RevocationsUnreadable(f"the list of revoked keys {path} can't be read: {error.strerror}") from error
    revoked = parse_revoked(content, origin=str(path))
    _check_beside(path, revoked)
    _check_sums(path, revoked)
    return revoked


def parse_revoked(content: bytes, *, origin: str) -> frozenset[str]:
    """The ids in a list's bytes, as `read_revoked`; RevocationsUnreadable names `origin`."""
    if len(content) > _LARGEST:
        raise RevocationsUnreadable(f"the list of revoked keys {origin} has more than {_LARGEST:,} bytes")
    lines = re.split(r"\r\n|\r|\n", text_of(content, origin))
    ids = (_id(line, origin, number) for number, line in enumerate(lines, 1))
    return frozenset(key_id for key_id in ids if key_id)


def _check_absent(path: Path, *, required: bool) -> None:
    if path.is_symlink():
        raise RevocationsUnreadable(f"{path} is a link to a list of revoked keys that is not there")
    if required:
        raise RevocationsUnreadable(f"there is no list of revoked keys {path}; make the file, it may be empty")
    if alike := [file.name for file in _alike(path)]:
        raise RevocationsUnreadable(f"{path} is not there, but {', '.join(alike)} is; rename the one that is meant")


def _check_beside(path: Path, revoked: frozenset[str]) -> None:
    for file in filter(Path.is_file, _alike(path)):
        try:
            ids = _ANY_ID.findall(text_of(file.read_bytes()[:_LARGEST], str(file)))
        except OSError as error:
            raise RevocationsUnreadable(f"{file}, which looks like a list of revoked keys, can't be read") from error
        if any(one.lower() not in revoked for one in ids):
            raise RevocationsUnreadable(
                f"{file.name} beside {path} names keys that are not in the list; put them in, or take the file away"
            )


def _check_sums(path: Path, revoked: frozenset[str]) -> None:
    for file in sorted(path.parent.glob("*.pub")) if revoked else ():
        if hashlib.sha256(file.read_bytes()).hexdigest() in revoked:
            raise RevocationsUnreadable(
                f"{path} holds the sum of the file {file.name}, which is no key's id; `posology signing-keys revoke` "
                f"or `openssl pkey -pubin -in {file.name} -outform DER | sha256sum`, takes the key's"
            )


def _alike(path: Path) -> list[Path]:
    """Other files of the folder that may be meant for the list."""
    try:
        beside = [file for file in path.parent.iterdir() if file.name != path.name]
    except OSError as error:
        raise RevocationsUnreadable(f"the folder of the list of revoked keys {path} can't be read: {error}") from error
    return sorted(file for file in beside if "revo" in file.name.casefold() and file.suffix != ".pub")


def text_of(content: bytes, origin: str) -> str:
    """A list's text, in whichever encoding an editor saved it; RevocationsUnreadable names `origin`."""
    encoding = next((name for mark, name in _MARKS if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise RevocationsUnreadable(f"the list of revoked keys {origin} is no text in UTF-8: {error}") from error


def _id(line: str, origin: str, number: int) -> str:
    """The id in a line; empty for a blank one or a comment. Of a second id nobody knows whether it was meant."""
    entry, _, comment = line.partition("#")
    entry = entry.strip(_INVISIBLE)
    match = next((match for form in _FORMS if (match := form.fullmatch(entry))), None)
    if entry and match is None:
        raise RevocationsUnreadable(
            f"{origin}, line {number}: {entry[:80]!r} is no key id; write the 64 hex digits that "
            "`openssl pkey -pubin -in KEY.pub -outform DER | sha256sum` prints. Until then no signature counts"
        )
    own = match["id"].lower() if match else ""
    in_entry = [one.lower() for one in _ANY_ID.findall(entry)]
    if len(in_entry) > 1 or any(one.lower() != own for one in _ANY_ID.findall(comment)):
        where = "it" if len(in_entry) > 1 else "its comment"
        raise RevocationsUnreadable(
            f"{origin}, line {number}: {where} holds another key id; write each on a line of its own, or take it out"
        )
    return own
