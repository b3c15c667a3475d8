"""Leader election by a Lease, as client-go does it: whoever holds it works, the others wait for it to run out."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from posology.core.errors import AlreadyExists, Conflict, NotFound, PosologyError
from posology.core.kube.client import Kube, Object, Resource
from posology.core.times import rfc3339, utc_now

log = logging.getLogger("posology.lease")

LEASES = Resource("coordination.k8s.io/v1", "leases")


@dataclass
class Lease:
    """One named lease, sought by one `identity`; `seconds` after its holder vanished another takes it."""

    kube: Kube
    namespace: str
    name: str
    identity: str
    seconds: float = 15.0
    _seen: tuple[str, str] = ("", "")
    _since: float = 0.0

    async def lead(self, work: Callable[[], Awaitable[None]]) -> None:
        """For ever: wait for the lease, do `work` while it is held, cancel it when the lease is lost."""
        while True:
            if not await self._tried(self._acquire):
                await asyncio.sleep(self.seconds / 5)
                continue
            log.info("leading", extra={"lease": self.name, "identity": self.identity})
            await self._hold_while(work)

    async def annotations(self) -> Mapping[str, str]:
        """What was noted on the lease."""
        lease = await self.kube.read(LEASES, self.namespace, self.name)
        return dict(lease["metadata"].get("annotations") or {})

    async def note(self, changes: Mapping[str, str]) -> None:
        """Note something on the lease for the leaders to come."""
        await self.kube.merge(LEASES, self.namespace, self.name, {"metadata": {"annotations": dict(changes)}})

    async def _hold_while(self, work: Callable[[], Awaitable[None]]) -> None:
        working, renewing = asyncio.ensure_future(work()), asyncio.ensure_future(self._renew_until_lost())
        try:
            await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            renewing.cancel()
            working.cancel()
            await asyncio.wait({working, renewing})
            await self._tried(self._release)
        if not working.cancelled() and (error := working.exception()):
            log.error("the leader's work failed, will be taken up again", exc_info=error)
            await asyncio.sleep(self.seconds / 5)

    async def _renew_until_lost(self) -> None:
        """Returns when somebody else holds the lease, or when it ran out because the API server is away."""
        loop = asyncio.get_running_loop()
        held_until = loop.time() + self.seconds
        while loop.time() < held_until:
            await asyncio.sleep(self.seconds / 5)
            before = loop.time()
            if await self._tried(self._renew):
                held_until = before + self.seconds * 0.8  # stop before another may start
        log.warning("lost the lease", extra={"lease": self.name})

    async def _tried(self, step: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await step()
        except PosologyError as error:
            log.warning("lease: %s", error.message, extra={"lease": self.name})
            return False

    async def _acquire(self) -> bool:
        try:
            lease = await self.kube.read(LEASES, self.namespace, self.name)
        except NotFound:
            return await self._create()
        return self._is_free(lease) and await self._write(lease, self.identity)

    async def _create(self) -> bool:
        body = {"metadata": {"name": self.name}, "spec": self._spec(self.identity)}
        try:
            await self.kube.create(LEASES, self.namespace, body)
        except AlreadyExists:
            return False
        return True

    def _is_free(self, lease: Object) -> bool:
        """Nobody's, ours, or not renewed for its whole duration by our own clock: clocks of machines differ."""
        spec, now = lease["spec"], asyncio.get_running_loop().time()
        holding = (spec.get("holderIdentity") or "", spec.get("renewTime") or "")
        if holding != self._seen:
            self._seen, self._since = holding, now
        return holding[0] in ("", self.identity) or now - self._since > float(spec.get("leaseDurationSeconds") or 0)

    async def _renew(self) -> bool:
        lease = await self.kube.read(LEASES, self.namespace, self.name)
        return lease["spec"].get("holderIdentity") == self.identity and await self._write(lease, self.identity)

    async def _release(self) -> bool:
        lease = await self.kube.read(LEASES, self.namespace, self.name)
        return lease["spec"].get("holderIdentity") == self.identity and await self._write(lease, "")

    async def _write(self, lease: Object, holder: str) -> bool:
        version = lease["metadata"]["resourceVersion"]
        change = {"metadata": {"resourceVersion": version}, "spec": self._spec(holder)}
        try:
            await self.kube.merge(LEASES, self.namespace, self.name, change)
        except Conflict:
            return False
        return True

    def _spec(self, holder: str) -> dict[str, Any]:
        now = rfc3339(utc_now(), microseconds=True)
        return {"holderIdentity": holder, "leaseDurationSeconds": max(1, round(self.seconds)), "renewTime": now}
