"""What was withdrawn, looked at before an engine loads and for as long as it serves."""

import asyncio
import logging
import time

from posology.core.errors import Unavailable
from posology.core.release import deny_list, document
from posology.core.release.deny_list import DenyList, DenyListUnreadable, HighWaterMark
from posology.core.release.document import NoPolicy
from posology.core.release.domain import ReleasePolicy
from posology.core.revocation import RevocationsUnreadable, read_revoked
from posology.serving.admission import check_not_withdrawn
from posology.serving.agent.settings import AgentSettings
from posology.serving.verdict import Verdict

log = logging.getLogger("posology.agent")


def read(settings: AgentSettings, revoked: frozenset[str]) -> DenyList:
    """The list as it is now, verified and not older than any that was seen here; DenyListUnreadable. Blocking."""
    listed = deny_list.load(settings.deny_list_file, settings.deny_list_keys, revoked=revoked)
    HighWaterMark(settings.deny_list_mark).check(listed)
    return listed


class DenyListWatch:
    """Looks at the list while an engine serves."""

    def __init__(self, settings: AgentSettings, verdict: Verdict, policy: ReleasePolicy) -> None:
        self._settings = settings
        self._verdict = verdict
        self._policy = policy
        self._known_at = time.monotonic()
        """When the list was last in order; no wall clock, which anybody may set."""

    async def run(self) -> None:
        """Returns never; Withdrawn as soon as these weights may not serve any more, Unavailable once nobody could tell
        for longer than the grace."""
        while True:
            await self.check()
            await asyncio.sleep(self._settings.deny_list_seconds)

    async def check(self) -> None:
        """One look."""
        try:
            await asyncio.to_thread(self._look)
            self._known_at = time.monotonic()
        except (DenyListUnreadable, RevocationsUnreadable) as error:
            log.warning("what was withdrawn can't be told: %s", error.message)
            if time.monotonic() - self._known_at >= self._settings.deny_list_grace_seconds:
                raise Unavailable(f"{error.message}; nothing serves until somebody can tell") from error

    def _look(self) -> None:
        settings = self._settings
        revoked = read_revoked(settings.revoked_file) if settings.revoked_file else frozenset()
        listed = read(settings, revoked)
        if listed.denied([self._policy.digest]) is not None and self._has_successor(listed, revoked):
            raise Unavailable(
                f"the release policy {self._policy.name} was withdrawn; loading again under its successor"
            )
        check_not_withdrawn(self._verdict, self._policy, listed, settings.verdict)

    def _has_successor(self, listed: DenyList, revoked: frozenset[str]) -> bool:
        """Whether another policy counts now, under which the weights may be admitted anew."""
        try:
            policy = document.load(self._settings.policy_file, self._settings.policy_keys, revoked=revoked)
        except NoPolicy:
            return False
        return listed.denied([policy.digest]) is None
