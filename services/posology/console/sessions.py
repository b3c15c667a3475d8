"""Who is signed in: sessions that end, in the memory of this process, and the token that each one's calls carry."""

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from posology.cli.lifecycle import CONSOLE_LINK
from posology.core.errors import PermissionDenied
from posology.core.files import write_atomically

_MOST = 1000
token: ContextVar[str] = ContextVar("token", default="")
"""With whose token the calls of this request are made; the guard sets it. Without one no call gets through."""


@dataclass
class Person:
    """Whom a provider or a cluster vouches for, and with what."""

    subject: str
    token: str
    """What services check: an ID token, or a token of the cluster. It never reaches the browser."""
    expires: float
    """When that ends, in seconds since the epoch."""
    refresh_token: str = ""
    at_provider: str = ""
    """The provider's id of its own session (`sid`), by which it ends ours."""
    renewing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def over(self) -> bool:
        """Whether the token has ended."""
        return time.time() >= self.expires


@dataclass
class Session:
    """A signed-in browser. `reviewer` and `kind` are what its user says of herself, once, before she rates."""

    csrf: str
    until: float
    """Ends then unless it is used before (monotonic seconds)."""
    last: float
    """Ends then in any case."""
    person: Person | None = None
    """None where an installation tells nobody apart."""
    reviewer: str = ""
    kind: str = ""
    gateway_key: str = ""
    """Made at the first question to a model, with this user's rights."""
    permitted: frozenset[str] = frozenset()
    permitted_until: float = 0.0
    ended: bool = False

    @property
    def over(self) -> bool:
        """Whether it has ended, by sign-out or by time."""
        return self.ended or time.monotonic() > min(self.until, self.last)


@dataclass
class Sessions:
    """Sessions of this process, in memory: a restart signs everybody out, and nothing of them is on disk."""

    folder: Path
    seconds: float
    most_seconds: float = 86400.0
    _held: dict[str, Session] = field(default_factory=dict)

    def new_link(self) -> str:
        """Write the secret of the next sign-in, mode 0600: who may read it may sign in. The one before is void."""
        secret = secrets.token_urlsafe(24)
        write_atomically(self.folder / CONSOLE_LINK, secret, mode=0o600)
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
        return self.open()

    def open(self, person: Person | None = None) -> str:
        """A new session, and the key that its cookie holds."""
        key, now = secrets.token_urlsafe(32), time.monotonic()
        while len(self._held) >= _MOST:
            self.end(min(self._held, key=lambda held: self._held[held].until))
        reviewer = person.subject if person else ""
        self._held[key] = Session(
            secrets.token_urlsafe(24), now + self.seconds, now + self.most_seconds, person, reviewer=reviewer
        )
        return key

    def of(self, key: str) -> Session | None:
        """The session of a cookie, which lasts on from now; None when there is none or it has ended."""
        session = self._held.get(key)
        if session is None:
            return None
        if session.over:
            self.end(key)
            return None
        session.until = time.monotonic() + self.seconds
        return session

    def end(self, key: str) -> None:
        """Sign out; streams of the session end too."""
        session = self._held.pop(key, None)
        if session is not None:
            session.ended = True

    def end_where(self, matches: Callable[[Person], bool]) -> int:
        """Sign these people out; how many sessions that were."""
        keys = [key for key, session in self._held.items() if session.person and matches(session.person)]
        for key in keys:
            self.end(key)
        return len(keys)
