"""The Catalog service: decode, delegate, encode."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

from posology.catalog import convert, index, transfer
from posology.catalog.deny_list import Publisher
from posology.catalog.domain import Artifact, Withdrawal
from posology.catalog.withdrawn_weights import MODELS, all_weight_files, weight_files_of_its_own
from posology.core import audit, names
from posology.core.artifacts import ArtifactStore
from posology.core.errors import FailedPrecondition, InvalidInput, Violation
from posology.core.release.deny_list import WITHDRAWN_FILE
from posology.core.rpc import context
from posology.core.rpc.context import Kind
from posology.core.store import Database, Transaction
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import catalog_pb2_grpc

DAY = 24 * 3600
_RUNS = "/fineTuneRuns/"


class CatalogServicer(catalog_pb2_grpc.CatalogServicer):
    """The index over gRPC."""

    def __init__(self, db: Database, candidates: ArtifactStore, deny_list: Publisher) -> None:
        self._db = db
        self._candidates = candidates
        self._deny_list = deny_list

    async def CreateArtifact(self, request: pb.CreateArtifactRequest, _: Any) -> pb.Artifact:
        """Register a published artifact; registering it again returns the first entry.

        Kind, parents, size, producer and parameters are those of its manifest in the store; a caller who says
        otherwise is refused.
        """
        namespace, digest = convert.name_from_proto(request)
        artifact = await asyncio.to_thread(transfer.described, self._candidates, namespace, digest)
        convert.check_claims(request.artifact, artifact)
        if request.validate_only:
            return convert.artifact_to_proto(artifact)
        return convert.artifact_to_proto(await self._register(artifact))

    async def GetArtifact(self, request: pb.GetArtifactRequest, _: Any) -> pb.Artifact:
        """Read one artifact."""
        async with self._db.read() as tx:
            return convert.artifact_to_proto(await index.get(tx, *convert.split_name(request.name)))

    async def ListArtifacts(self, request: pb.ListArtifactsRequest, _: Any) -> pb.ListArtifactsResponse:
        """A page of artifacts, newest first."""
        namespace = names.namespace_of_parent(request.parent)
        async with self._db.read() as tx:
            artifacts, token = await index.list_page(
                tx, namespace, kind=request.kind, size=request.page_size, token=request.page_token
            )
        return pb.ListArtifactsResponse(
            artifacts=[convert.artifact_to_proto(a) for a in artifacts], next_page_token=token
        )

    async def TraceArtifact(self, request: pb.TraceArtifactRequest, _: Any) -> pb.TraceArtifactResponse:
        """Walk the graph up or down."""
        up = request.direction == pb.TraceArtifactRequest.ANCESTORS
        async with self._db.read() as tx:
            start = await index.get(tx, *convert.split_name(request.name))
            walked = await index.trace(tx, start, up=up)
        return pb.TraceArtifactResponse(artifacts=[convert.artifact_to_proto(a) for a in walked])

    async def PinArtifact(self, request: pb.PinArtifactRequest, _: Any) -> pb.Artifact:
        """Hold an artifact and all that it was made from; a run gets nothing that rests on what was withdrawn."""
        async with self._db.begin() as tx:
            artifact = await index.get(tx, *convert.split_name(request.name))
            if _RUNS in request.holder and (
                bad := await index.find_withdrawals(tx, [artifact.digest], namespace=artifact.namespace)
            ):
                raise FailedPrecondition(_withdrawn(artifact, bad[0]))
            await index.pin(tx, artifact, request.holder)
            await _record(tx, "artifact.pin", artifact, {"holder": request.holder})
        return await self._read(artifact)

    async def UnpinArtifact(self, request: pb.PinArtifactRequest, _: Any) -> pb.Artifact:
        """Let go of a pin."""
        async with self._db.begin() as tx:
            artifact = await index.get(tx, *convert.split_name(request.name))
            await index.unpin(tx, artifact, request.holder)
            await _record(tx, "artifact.unpin", artifact, {"holder": request.holder})
        return await self._read(artifact)

    async def QuarantineArtifact(self, request: pb.QuarantineArtifactRequest, _: Any) -> pb.Artifact:
        """Withdraw an artifact: in every namespace what runs of this one alone made, else in this one.

        Otherwise whoever pushes a neighbour's bytes, or imports the base that everybody tunes, could withdraw them from
        everybody; who may withdraw in all namespaces does so by digest (`CreateWithdrawal`).
        """
        async with self._db.begin() as tx:
            artifact = await index.get(tx, *convert.split_name(request.name))
            everywhere = await self._withdraws_everywhere(tx, artifact)
            await index.quarantine(tx, artifact, request.reason, everywhere=everywhere)
            files = await asyncio.to_thread(weight_files_of_its_own, self._candidates, artifact.digest)
            others = await self._made_elsewhere(tx, artifact) if everywhere and files else frozenset()
            for file in files:
                scope = "" if everywhere and file not in others else artifact.namespace
                await index.withdraw(tx, file, kind=WITHDRAWN_FILE, reason=request.reason, namespace=scope)
            detail = {"reason": request.reason, "everywhere": everywhere}
            await _record(tx, "artifact.quarantine", artifact, detail)
        await self._deny_list.publish()
        return await self._read(artifact)

    async def _withdraws_everywhere(self, tx: Transaction, artifact: Artifact) -> bool:
        if context.caller.get().kind is not Kind.USER:
            return True  # the one user of an installation that tells nobody apart, or a service of it
        brought = artifact.kind in transfer.PUSHED_KINDS and not artifact.parents
        return not brought and not await index.listed_elsewhere(tx, artifact)

    async def _made_elsewhere(self, tx: Transaction, artifact: Artifact) -> frozenset[str]:
        """Weight files (`sha256:<hex>`) of what runs of other namespaces made: equal specs make equal weights."""
        if context.caller.get().kind is not Kind.USER:
            return frozenset()
        digests = await index.made_elsewhere(tx, artifact.namespace, MODELS)
        return await asyncio.to_thread(all_weight_files, self._candidates, digests)

    async def CreateWithdrawal(self, request: pb.CreateWithdrawalRequest, _: Any) -> pb.Withdrawal:
        """Withdraw a digest that no namespace needs to know."""
        digest = convert.digest_from_text(request.digest, field="digest")
        async with self._db.begin() as tx:
            withdrawal = await index.withdraw(tx, digest, kind=request.kind, reason=request.reason)
            for file in await asyncio.to_thread(weight_files_of_its_own, self._candidates, digest):
                await index.withdraw(tx, file, kind=WITHDRAWN_FILE, reason=request.reason)
            actor = context.caller.get().subject
            detail = {"kind": request.kind, "reason": request.reason}
            await audit.append(tx, actor=actor, action="withdrawal.create", subject=digest, detail=detail)
        await self._deny_list.publish()
        return convert.withdrawal_to_proto(withdrawal)

    async def GetDenyList(self, request: pb.GetDenyListRequest, _: Any) -> pb.DenyList:
        """The newest signed list."""
        newest = await self._deny_list.newest(request.published)
        return pb.DenyList(envelope=newest.text.decode(), number=newest.predicate.number)

    async def FindWithdrawals(self, request: pb.FindWithdrawalsRequest, _: Any) -> pb.FindWithdrawalsResponse:
        """What may not be used or served, of these digests and of what stands behind them."""
        async with self._db.read() as tx:
            namespace = names.namespace_of_parent(request.parent) if request.parent else ""
            withdrawals = await index.find_withdrawals(tx, request.digests, namespace=namespace)
        return pb.FindWithdrawalsResponse(withdrawals=map(convert.withdrawal_to_proto, withdrawals))

    async def CollectGarbage(self, request: pb.CollectGarbageRequest, _: Any) -> pb.CollectGarbageResponse:
        """Delete what nothing holds: entries first, in one transaction, then bytes that no namespace lists."""
        namespace = names.namespace_of_parent(request.parent)
        seconds = request.older_than_seconds if request.HasField("older_than_seconds") else DAY
        async with self._db.begin() as tx:
            gone = await index.expendable(tx, namespace, older_than_seconds=seconds)
            keep = await index.everywhere(tx) - {a.digest for a in gone}
            if not request.validate_only:
                await index.forget(tx, gone)
                for artifact in gone:
                    await _record(tx, "artifact.collect", artifact, {})
        age = timedelta(seconds=seconds)
        collected = await asyncio.to_thread(self._candidates.gc, keep, older_than=age, dry_run=request.validate_only)
        return pb.CollectGarbageResponse(digests=[a.digest for a in gone], freed_bytes=collected.size)

    async def GetArtifactManifest(
        self, request: pb.GetArtifactManifestRequest, _: Any
    ) -> pb.GetArtifactManifestResponse:
        """The manifest of an artifact that this namespace lists."""
        digest = await self._listed(request.name)
        manifest = await asyncio.to_thread(self._candidates.manifest, digest)
        return pb.GetArtifactManifestResponse(manifest=manifest.to_bytes())

    async def ReadArtifactFile(
        self, request: pb.ReadArtifactFileRequest, _: Any
    ) -> AsyncIterator[pb.ReadArtifactFileResponse]:
        """One file of an artifact that this namespace lists; who knows a digest of another namespace gets nothing."""
        digest = await self._listed(request.name)
        async for piece in transfer.pieces(self._candidates, digest, request.path):
            yield pb.ReadArtifactFileResponse(data=piece)

    async def UploadArtifact(self, requests: AsyncIterator[pb.UploadArtifactRequest], _: Any) -> pb.Artifact:
        """Publish a person's files and register them; the same bytes are the same artifact."""
        async with transfer.received(requests) as upload:
            artifact = await asyncio.to_thread(transfer.publish, self._candidates, upload)
        return convert.artifact_to_proto(await self._register(artifact))

    async def _register(self, artifact: Artifact) -> Artifact:
        """Enter what was read from the store; InvalidInput names parents that belong to other namespaces only."""
        async with self._db.begin() as tx:
            foreign = await index.foreign(tx, artifact.namespace, artifact.parents)
            stored, new = await index.register(tx, artifact)
            if new and foreign:
                raise InvalidInput.of([Violation("artifact.parents", _foreign(stored, foreign))])
            if new:
                await _record(tx, "artifact.create", stored, {"kind": stored.kind, "producer": stored.producer})
        return stored

    async def _listed(self, name: str) -> str:
        """The digest of an artifact that its namespace lists; NotFound else."""
        async with self._db.read() as tx:
            return (await index.get(tx, *convert.split_name(name))).digest

    async def _read(self, artifact: Artifact) -> pb.Artifact:
        async with self._db.read() as tx:
            return convert.artifact_to_proto(await index.get(tx, artifact.namespace, artifact.digest))


async def _record(tx: Any, action: str, artifact: Artifact, detail: dict[str, Any]) -> None:
    await audit.append(tx, actor=context.caller.get().subject, action=action, subject=artifact.name, detail=detail)


def _withdrawn(artifact: Artifact, bad: Withdrawal) -> str:
    what = f"{artifact.kind} {artifact.digest}"
    origin = "" if bad.digest == artifact.digest else f" rests on {bad.kind} {bad.digest}, which"
    return f"{what}{origin} was withdrawn: {bad.reason}; nothing may be built on it, so change the sources"


def _foreign(artifact: Artifact, parents: list[str]) -> str:
    return f"{', '.join(parents)} never were in namespace {artifact.namespace}, and belong to another one"
