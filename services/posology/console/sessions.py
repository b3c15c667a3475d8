"""Who is signed in: one-time links of an embedded installation, and sessions that end."""

import hmac
import secrets
import time
from dataclasses import dataclass, field
from pathlib import Path

from posology.cli.lifecycle import CONSOLE_LINK
from posology.core.errors import PermissionDenied

_MOST = 1000


@dataclass
class Session:
    """A signed-in browser. `reviewer` and `kind` are what its user says of herself, once, before she rates."""

    csrf: str
    until: float
    reviewer: str = ""
    kind: str = ""


@dataclass
class Sessions:
    """Sessions of this process, in memory: a restart signs everybody out, and nothing of them is on disk."""

    folder: Path
    seconds: float
    _held: dict[str, Session] = field(default_factory=dict)

    def new_link(self) -> str:
        """Write the secret of the next sign-in, mode 0600: who may read it may sign in. The one before is void."""
        secret = secrets.token_urlsafe(24)
        path = self.folder / CONSOLE_LINK
        path.touch(mode=0o600)
        path.chmod(0o600)
        path.write_text(secret)
        return secret

    def sign_in(self, secret: str) -> str:
        """A session for whoever brings the secret, which is void from then on; PermissionDenied for any other."""
        path = self.folder / CONSOLE_LINK
        expected = path.read_text().strip() if path.exists() else ""
        if not expected or not hmac.compare_digest(expected.encode(), secret.encode("utf-8", "replace")):
            raise PermissionDenied(
                "this link was used or is not of this installation; `posology console` prints a new one"
            )
        self.new_link()
        key = secrets.token_urlsafe(32)
        while len(self._held) >= _MOST:
            del self._held[min(self._held, key=lambda held: self._held[held].until)]
        self._held[key] = Session(secrets.token_urlsafe(24), time.monotonic() + self.seconds)
        return key

    def of(self, key: str) -> Session | None:
        """The session of a cookie, which lasts on from now; None when there is none or it has ended."""
        session = self._held.get(key)
        if session is None:
            return None
        if session.until < time.monotonic():
            del self._held[key]
            return None
        session.until = time.monotonic() + self.seconds
        return session

    def end(self, key: str) -> None:
        """Sign out."""
        self._held.pop(key, None)
