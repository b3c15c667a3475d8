"""How long to wait before trying again."""

import email.utils
from dataclasses import dataclass

from posology.core.times import utc_now


@dataclass(frozen=True)
class Backoff:
    """Pauses in seconds: `first`, then each `factor` times the one before, up to `longest`."""

    first: float
    longest: float
    factor: float = 2.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after the `failures`-th failure in a row, counted from 1."""
        # A power that overflows is past every limit, and a float would raise.
        exponent = min(max(0, failures - 1), 64)
        return min(self.longest, self.first * self.factor**exponent)


def retry_after(header: str, *, otherwise: float) -> float:
    """Seconds that a `Retry-After` header (RFC 9110 10.2.3) asks for; `otherwise` without a readable one."""
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        moment = email.utils.parsedate_to_datetime(header)
        return max(0.0, moment.timestamp() - utc_now().timestamp())
    except (TypeError, ValueError, OverflowError):
        return otherwise
