"""Counts what a worker uses of an endpoint, against what everybody else uses. Safe to share between threads."""

import threading
from collections.abc import Callable

from posology.core.model_endpoints.domain import ModelBudget, Usage


class Meter:
    """`report` is told the attempt's own usage after each call; `others_use` says what the service knows of the rest.

    A budget is overrun by the calls that are in flight when it is reached, and by no more.
    """

    def __init__(
        self,
        budget: ModelBudget | None = None,
        *,
        others: Usage | None = None,
        report: Callable[[Usage], None] = lambda usage: None,
    ) -> None:
        self._budget = budget or ModelBudget()
        self._others = others or Usage()
        self._own = Usage()
        self._report = report
        self._lock = threading.Lock()

    def used_up(self) -> str:
        """Which limit is reached, in words; "" while none is."""
        with self._lock:
            return self._budget.used_up(self._own + self._others)

    def count(self, usage: Usage) -> None:
        """A call was made."""
        with self._lock:
            self._own += usage
            self._report(self._own)

    def others_use(self, usage: Usage) -> None:
        """Everybody else, as the service counts them now."""
        with self._lock:
            self._others = usage
