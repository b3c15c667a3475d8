"""Who calls: bearer tokens from a file, compared in constant time; other schemes fit the same Protocol."""

import hmac
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from posology.core.errors import FailedPrecondition, Unauthenticated
from posology.core.files import write_once
from posology.core.rpc.context import Identity, Kind
from posology.core.rpc.impersonation import INSTALLATION

AUTHORIZATION = "authorization"


class Authenticator(Protocol):
    """Turns a call's metadata into an identity."""

    async def authenticate(self, metadata: Mapping[str, str | bytes]) -> Identity:
        """The caller's identity; raises Unauthenticated with what to do."""
        ...


class TokenFile:
    """Bearer tokens of a file: one a line, `<token>` alone or `<subject> <token>`; `#` starts a comment.

    The file is read again when it changed, so tokens are rotated without a restart. A token without a subject is the
    installation's; `kind` is what all of them stand for.
    """

    def __init__(self, path: Path, kind: Kind = Kind.OWNER) -> None:
        self._path = path
        self._kind = kind
        self._stamp = (0, 0)
        self._identities: list[tuple[bytes, Identity]] = []
        self._reload()

    async def authenticate(self, metadata: Mapping[str, str | bytes]) -> Identity:
        """The subject of the token; every known token is compared, each in constant time."""
        identity = self.known(bearer(metadata))
        if identity is None:
            raise Unauthenticated(
                f"this token is not valid here; the valid ones are in {self._path.name} of the server"
            )
        return identity

    def known(self, token: str) -> Identity | None:
        """Whose token this is, if it is one of the file's."""
        presented = token.encode()
        identity = self._find(presented)
        return self._find(presented) if identity is None and self._reload() else identity

    def _find(self, presented: bytes) -> Identity | None:
        match = None
        for token, identity in self._identities:
            if hmac.compare_digest(token, presented):
                match = identity
        return match

    def _reload(self) -> bool:
        """Read the file if it changed since; says whether it did."""
        try:
            status = self._path.stat()
            if (stamp := (status.st_mtime_ns, status.st_ino)) == self._stamp:
                return False
            lines = self._path.read_text().splitlines()
        except OSError as error:
            raise FailedPrecondition(f"POSOLOGY_TOKEN_FILE: {self._path} can't be read ({error.strerror})") from None
        self._identities = [_parse(line, self._kind) for line in lines if line.strip() and not line.startswith("#")]
        self._stamp = stamp
        if not self._identities:
            raise FailedPrecondition(f"POSOLOGY_TOKEN_FILE: {self._path} holds no token")
        return True


def _parse(line: str, kind: Kind) -> tuple[bytes, Identity]:
    *subject, token = line.split()
    return token.encode(), Identity(" ".join(subject) or INSTALLATION, kind=kind)


def bearer(metadata: Mapping[str, str | bytes]) -> str:
    """The token of `authorization: Bearer <token>`."""
    header = str(metadata.get(AUTHORIZATION, ""))
    if header[:7].lower() != "bearer " or len(header) == 7:
        raise Unauthenticated("no bearer token came with the call; send `authorization: Bearer <token>`")
    return header[7:].strip()


def ensure_token(path: Path) -> str:
    """The first token in `path`; made with mode 0600 if the file is missing, by one process only."""
    write_once(path, secrets.token_urlsafe(32) + "\n", mode=0o600)
    return read_token(path)


def read_token(path: Path) -> str:
    """The first token in `path`, to call with."""
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise FailedPrecondition(
            f"POSOLOGY_TOKEN_FILE: {path} can't be read ({error.strerror}); `posology up` makes it"
        ) from None
    tokens = [line.split()[-1] for line in lines if line.strip() and not line.startswith("#")]
    if not tokens:
        raise FailedPrecondition(f"POSOLOGY_TOKEN_FILE: {path} holds no token")
    return tokens[0]
