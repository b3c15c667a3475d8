"""Who may withdraw in one namespace withdraws what its own runs made; pushing a neighbour's bytes gives no hold on
them."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.release import proven

from posology.catalog.deny_list import Publisher
from posology.catalog.servicer import CatalogServicer
from posology.core.artifacts import ArtifactStore
from posology.core.attestations.verdict import VerdictPredicate
from posology.core.errors import FailedPrecondition
from posology.core.release import deny_list
from posology.core.release.deny_list import DenyList
from posology.core.rpc import context
from posology.core.rpc.context import Identity, Kind
from posology.core.signing import Signer
from posology.core.store import Database
from posology.v1alpha1 import catalog_pb2 as pb

ALICE, BOB = "alice", "bob"


@dataclass
class Catalog:
    """A catalog's servicer; `as_user` says who calls."""

    root: Path
    store: ArtifactStore
    servicer: CatalogServicer
    signer: Signer

    async def make(self, namespace: str, name: str, *parents: str, kind: str = "model", **files: str) -> str:
        folder = self.root / "drafts" / namespace / name
        folder.mkdir(parents=True)
        for file, text in files.items():
            (folder / f"{file}.safetensors").write_text(text)
        (folder / "config.json").write_text(json.dumps({"name": name}))
        producer = "test" if parents or kind == "dataset" else "push"
        digest = self.store.publish(folder, kind=kind, producer=producer, parents=parents)
        await self.list(namespace, digest)
        return digest

    async def list(self, namespace: str, digest: str) -> None:
        request = pb.CreateArtifactRequest(parent=f"namespaces/{namespace}", artifact=pb.Artifact(digest=digest))
        await self.servicer.CreateArtifact(request, None)

    async def withdraw(self, namespace: str, digest: str, kind: Kind = Kind.USER) -> None:
        before = context.caller.set(Identity(namespace, kind=kind))
        name = f"namespaces/{namespace}/artifacts/{digest.removeprefix('sha256:')}"
        try:
            await self.servicer.QuarantineArtifact(pb.QuarantineArtifactRequest(name=name, reason="it errs"), None)
        finally:
            context.caller.reset(before)

    def published(self) -> DenyList:
        return deny_list.load(self.root / "list.json", [self.root / "k.pub"])

    def stops(self, namespace: str, model: str) -> bool:
        """Whether an agent would keep the model from serving there."""
        manifest = self.store.manifest(model)
        files = [f.sha256 for f in manifest.files if f.path.endswith(".safetensors")]
        verdict = VerdictPredicate.from_json(proven(namespace=namespace, weightFiles=files))
        return self.published().denies(verdict, model, *manifest.parents) is not None

    async def found(self, namespace: str, digest: str) -> bool:
        request = pb.FindWithdrawalsRequest(parent=f"namespaces/{namespace}", digests=[digest])
        return bool((await self.servicer.FindWithdrawals(request, None)).withdrawals)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    db = Database(f"sqlite:///{tmp_path}/catalog.sqlite", schema="catalog")
    await db.migrate("posology.core.audit", "posology.catalog")
    store = ArtifactStore(f"file://{tmp_path}/artifacts")
    signer = Signer.load_or_create(tmp_path / "k.key")
    yield Catalog(tmp_path, store, CatalogServicer(db, store, Publisher(db, signer, tmp_path / "list.json")), signer)
    await db.close()


async def stopped(catalog: Catalog, model: str, namespace: str = ALICE) -> bool:
    return catalog.stops(namespace, model) or await catalog.found(namespace, model)


async def test_pushing_the_base_that_everybody_tunes_gives_no_hold_on_it(catalog: Catalog) -> None:
    base = await catalog.make(ALICE, "base", kind="base-model", model="base")
    model = await catalog.make(ALICE, "model", base, model="tuned")
    await catalog.list(BOB, base)
    await catalog.withdraw(BOB, base)
    assert not await stopped(catalog, base)
    assert not await stopped(catalog, model)
    assert await stopped(catalog, base, BOB)


async def test_whoever_pushed_it_first_has_no_hold_on_it_either(catalog: Catalog) -> None:
    base = await catalog.make(BOB, "base", kind="base-model", model="base")
    await catalog.list(ALICE, base)
    model = await catalog.make(ALICE, "model", base, model="tuned")
    await catalog.withdraw(BOB, base)
    assert not await stopped(catalog, model)


async def test_a_neighbours_weights_under_another_configuration_are_his_still(catalog: Catalog) -> None:
    base = await catalog.make(ALICE, "base", kind="base-model", model="base")
    model = await catalog.make(ALICE, "model", base, model="tuned")
    copy = await catalog.make(BOB, "copy", kind="base-model", model="tuned")
    await catalog.withdraw(BOB, copy)
    assert not await stopped(catalog, model)


async def test_the_same_data_set_made_twice_is_withdrawn_from_whoever_withdrew_it(catalog: Catalog) -> None:
    data = await catalog.make(ALICE, "data", kind="dataset", rows="x")
    model = await catalog.make(ALICE, "model", data, model="tuned")
    await catalog.list(BOB, data)
    own = await catalog.make(BOB, "own", data, model="bob's")
    await catalog.withdraw(BOB, data)
    assert not await stopped(catalog, model)
    assert await stopped(catalog, own, BOB)


async def test_the_same_weights_made_twice_are_withdrawn_from_whoever_withdrew_them(catalog: Catalog) -> None:
    base = await catalog.make(ALICE, "base", kind="base-model", model="base")
    await catalog.list(BOB, base)
    model = await catalog.make(ALICE, "model", base, model="tuned")
    own = await catalog.make(BOB, "own", base, model="tuned")
    await catalog.withdraw(BOB, own)
    assert not await stopped(catalog, model)
    assert await stopped(catalog, own, BOB)


async def test_what_ones_own_runs_alone_made_is_withdrawn_everywhere_and_under_any_name(catalog: Catalog) -> None:
    base = await catalog.make(BOB, "base", kind="base-model", model="base")
    model = await catalog.make(BOB, "model", base, model="tuned")
    copy = await catalog.make(ALICE, "copy", kind="base-model", model="tuned")
    await catalog.withdraw(BOB, model)
    assert await stopped(catalog, model, BOB)
    assert await stopped(catalog, copy)


async def test_who_tells_nobody_apart_withdraws_everywhere(catalog: Catalog) -> None:
    base = await catalog.make(ALICE, "base", kind="base-model", model="base")
    await catalog.list(BOB, base)
    model = await catalog.make(ALICE, "model", base, model="tuned")
    await catalog.withdraw(BOB, base, kind=Kind.OWNER)
    assert await stopped(catalog, model)


async def test_a_withdrawal_of_ones_own_hinders_no_wider_one_later(catalog: Catalog) -> None:
    base = await catalog.make(ALICE, "base", kind="base-model", model="base")
    await catalog.list(BOB, base)
    await catalog.withdraw(BOB, base)
    before = catalog.published().number
    request = pb.CreateWithdrawalRequest(parent="namespaces/-", digest=base, reason="it errs")
    await catalog.servicer.CreateWithdrawal(request, None)
    assert await stopped(catalog, base)
    assert catalog.published().number > before


async def test_a_run_of_ones_own_builds_on_nothing_that_its_namespace_withdrew(catalog: Catalog) -> None:
    base = await catalog.make(ALICE, "base", kind="base-model", model="base")
    await catalog.list(BOB, base)
    await catalog.withdraw(BOB, base)
    name = f"artifacts/{base.removeprefix('sha256:')}"

    def pin(namespace: str) -> pb.PinArtifactRequest:
        parent = f"namespaces/{namespace}"
        return pb.PinArtifactRequest(name=f"{parent}/{name}", holder=f"{parent}/fineTuneRuns/r")

    await catalog.servicer.PinArtifact(pin(ALICE), None)
    with pytest.raises(FailedPrecondition, match="was withdrawn"):
        await catalog.servicer.PinArtifact(pin(BOB), None)


async def test_a_lost_database_takes_back_what_one_namespace_withdrew_for_itself(
    catalog: Catalog, tmp_path: Path
) -> None:
    base = await catalog.make(ALICE, "base", kind="base-model", model="base")
    await catalog.list(BOB, base)
    await catalog.withdraw(BOB, base)
    db = Database(f"sqlite:///{tmp_path}/lost.sqlite", schema="catalog")
    await db.migrate("posology.core.audit", "posology.catalog")
    await Publisher(db, catalog.signer, tmp_path / "list.json").publish()
    await db.close()
    assert catalog.published().entries[base].namespaces == (BOB,)
