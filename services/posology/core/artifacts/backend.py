"""What a place for bytes can do, and what its failures mean."""

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Protocol

from posology.core.errors import Exhausted, NotFound, PermissionDenied, PosologyError, Unavailable

CHUNK = 1 << 20
_RUN_OUT = "refreshed credentials are still expired"
"""How botocore says that it found no newer ones."""


@dataclass(frozen=True)
class Stored:
    """One object: its key under the root, size in bytes, time of last writing (UTC)."""

    key: str
    size: int
    modified: datetime


class Sink(Protocol):
    """A file being written; nothing of it is visible before `commit`."""

    def write(self, data: bytes, /) -> int: ...

    def commit(self) -> None:
        """Make it durable and visible under its key, replacing what was there."""


class Backend(Protocol):
    """Keys are relative paths with forward slashes. Every failure is a core.errors class."""

    url: str

    def writing(self, key: str) -> AbstractContextManager[Sink]:
        """A sink for `key`; leaving without `commit` leaves no trace."""

    def open(self, key: str) -> IO[bytes]:
        """The bytes of `key`; NotFound if there are none."""

    def info(self, key: str) -> Stored | None:
        """What is stored under `key`, or None."""

    def list(self, prefix: str) -> Iterator[Stored]:
        """Everything below the folder `prefix`, in no order."""

    def delete(self, key: str) -> None:
        """Remove `key`; already gone is fine."""

    def publishing(self) -> AbstractContextManager[None]:
        """Held while an artifact is published; any number at once."""

    def collecting(self) -> AbstractContextManager[None]:
        """Held while gc decides and deletes one thing; never while somebody publishes, where that can be had."""

    def partial(self) -> Iterator[Stored]:
        """What interrupted writers left behind."""

    def delete_partial(self, left: Stored) -> None:
        """Remove one of `partial`."""


@contextmanager
def failures_of(what: str) -> Iterator[None]:
    """Turn what the operating system and object stores raise into errors that say what to do."""
    try:
        yield
    except PosologyError:
        raise
    except FileNotFoundError as error:
        raise NotFound(f"{what}: there is no such object") from error
    except PermissionError as error:
        raise PermissionDenied(f"{what}: the credentials in use don't allow this ({error})") from error
    except OSError as error:
        raise _meaning(what, error) from error
    except RuntimeError as error:
        if _RUN_OUT in str(error):
            raise Unavailable(f"{what}: the temporary credentials ran out, and no new ones came") from error
        raise
    except Exception as error:
        if type(error).__module__.split(".")[0] in {"botocore", "aiobotocore", "aiohttp", "gcsfs", "adlfs"}:
            raise Unavailable(f"{what}: the object store does not answer as it should ({error})") from error
        raise


def _meaning(what: str, error: OSError) -> PosologyError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return Exhausted(f"{what}: no room left ({error.strerror}); free some space and try again")
    return Unavailable(f"{what}: {error}")
