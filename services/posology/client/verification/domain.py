"""What a verification found: one check a line."""

from collections.abc import Callable
from dataclasses import dataclass

from posology.core.errors import PosologyError


@dataclass(frozen=True)
class Check:
    """One thing that was checked; `said` is what was found, or why it failed."""

    subject: str
    """`signature`, `statement`, `artifact`, `lineage`, `engine`, `gates`, `outcome`, `policy` or `audit`."""
    name: str
    ok: bool
    said: str


@dataclass(frozen=True)
class Verification:
    """Every check of one verdict."""

    verdict: str
    """Digest of the verdict's artifact, or the file that it was read from."""
    outcome: str
    """What the verdict says; empty if it can't be believed."""
    model: str
    run: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; the outcome PASS is one of the checks."""
        return all(check.ok for check in self.checks)


class Failed(PosologyError):
    """A check that does not hold; the message says why."""


def check(subject: str, name: str, work: Callable[[], str]) -> Check:
    """Do `work`, which says what it found or raises what is wrong; content of the wrong shape fails as well."""
    try:
        return Check(subject, name, True, work())
    except PosologyError as error:
        return Check(subject, name, False, error.message)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return Check(subject, name, False, f"its content is not what belongs here: {error!r}")
