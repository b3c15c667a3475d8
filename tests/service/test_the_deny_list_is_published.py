"""The catalog signs one list of all withdrawals, with a number that grows with every change and never goes back."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.catalogs import NothingStands, serving_catalog

from posology.core import key_rotation
from posology.core.artifacts import ArtifactStore
from posology.core.attestations.deny_list import FILE
from posology.core.errors import InvalidInput
from posology.core.release import deny_list
from posology.core.release.deny_list import FAILED_FILE, DenyList
from posology.core.rpc import client
from posology.core.rpc.auth import ensure_token
from posology.v1alpha1 import catalog_pb2 as pb
from posology.v1alpha1 import catalog_pb2_grpc, evaluation_pb2

PARENT = "namespaces/default"


def listed(root: Path) -> DenyList:
    """As an agent reads it."""
    return deny_list.load(root / FILE, [root / "keys" / f"{deny_list.KEY}.pub"])


@asynccontextmanager
async def running(root: Path) -> AsyncIterator[catalog_pb2_grpc.CatalogAsyncStub]:
    token = ensure_token(root / "token")
    async with (
        serving_catalog(root) as address,
        client.channel(address, token=token, service="catalog") as channel,
    ):
        yield catalog_pb2_grpc.CatalogStub(channel)


@pytest.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[catalog_pb2_grpc.CatalogAsyncStub]:
    async with running(tmp_path) as stub:
        yield stub


async def publish(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, root: Path, kind: str, *parents: str, **files: str
) -> str:
    folder = root / "drafts" / json.dumps(files).encode().hex()[:60] / kind
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.safetensors").write_text(text)
    store = ArtifactStore(f"file://{root}/artifacts/candidates")
    digest = store.publish(folder, kind=kind, producer="test/0", parents=parents)
    artifact = pb.Artifact(digest=digest, kind=kind, parents=parents, producer="test/0")
    await catalog.CreateArtifact(pb.CreateArtifactRequest(parent=PARENT, artifact=artifact))
    return digest


async def withdraw(catalog: catalog_pb2_grpc.CatalogAsyncStub, digest: str, **fields: str) -> pb.Withdrawal:
    fields = {"parent": "namespaces/-", "reason": "it errs", **fields}
    return await catalog.CreateWithdrawal(pb.CreateWithdrawalRequest(digest=digest, **fields))


async def test_there_is_a_list_from_the_start_and_each_change_has_a_larger_number(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    first = listed(tmp_path)
    assert (first.number, dict(first.entries)) == (1, {})
    digest = "sha256:" + "ab" * 32
    for number, written in ((2, digest), (2, digest.upper()), (2, digest[7:]), (3, "sha256:" + "cd" * 32)):
        made = await withdraw(catalog, written, kind="release-policy")
        assert made.digest == "sha256:" + written.lower().removeprefix("sha256:")
        assert listed(tmp_path).number == number
    assert listed(tmp_path).denied([digest]).reason == "it errs"  # type: ignore[union-attr]


async def test_what_rests_on_it_is_listed_and_the_list_outlives_what_is_collected(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    data = await publish(catalog, tmp_path, "dataset", rows="x")
    base = await publish(catalog, tmp_path, "base-model", one="shared", two="b")
    adapter = await publish(catalog, tmp_path, "adapter", data, base, adapter="a")
    model = await publish(catalog, tmp_path, "model", adapter, base, one="shared", two="tuned")
    name = f"{PARENT}/artifacts/{data.removeprefix('sha256:')}"
    await catalog.QuarantineArtifact(pb.QuarantineArtifactRequest(name=name, reason="wrong doses"))
    assert {data, adapter, model} <= listed(tmp_path).entries.keys()
    assert base not in listed(tmp_path).entries
    assert listed(tmp_path).entries[model].cause == data
    await catalog.CollectGarbage(pb.CollectGarbageRequest(parent=PARENT, older_than_seconds=0))
    assert {data, adapter, model} <= listed(tmp_path).entries.keys()


async def test_withdrawn_weights_are_listed_by_their_own_files_too(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    base = await publish(catalog, tmp_path, "base-model", one="shared", two="b")
    model = await publish(catalog, tmp_path, "model", base, one="shared", two="tuned")
    await withdraw(catalog, model, kind="model")
    files = {text: "sha256:" + hashlib.sha256(text.encode()).hexdigest() for text in ("shared", "tuned")}
    entries = listed(tmp_path).entries
    assert files["tuned"] in entries  # under whatever name they are imported again
    assert files["shared"] not in entries  # the base is good


@pytest.mark.parametrize("digest", ["", "sha256:ab", "g" * 64, "sha512:" + "ab" * 32, "sha256:" + "ab" * 32 + "x"])
async def test_what_is_no_digest_is_refused_by_name(catalog: catalog_pb2_grpc.CatalogAsyncStub, digest: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await withdraw(catalog, digest)
    assert [violation.field for violation in refused.value.violations] == ["digest"]


async def test_a_withdrawal_is_for_the_whole_installation(catalog: catalog_pb2_grpc.CatalogAsyncStub) -> None:
    with pytest.raises(InvalidInput):
        await withdraw(catalog, "ab" * 32, parent=PARENT)


async def test_a_list_that_was_taken_away_or_altered_is_put_back(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    await withdraw(catalog, "ab" * 32)
    present = (tmp_path / FILE).read_bytes()
    for attack in (lambda: (tmp_path / FILE).unlink(), lambda: (tmp_path / FILE).write_text("{}")):
        attack()
        async with asyncio.timeout(10):
            while not (tmp_path / FILE).exists() or (tmp_path / FILE).read_bytes() != present:
                await asyncio.sleep(0.1)


async def test_a_restored_database_takes_the_list_no_way_back(tmp_path: Path) -> None:
    databases = tmp_path / "db"
    async with running(tmp_path) as catalog:
        await withdraw(catalog, "ab" * 32)
    saved = {path: path.read_bytes() for path in databases.glob("catalog.sqlite*")}
    async with running(tmp_path) as catalog:
        await withdraw(catalog, "cd" * 32)
        before = listed(tmp_path)
    for lost in databases.glob("catalog.sqlite*"):
        lost.unlink()
    for path, content in saved.items():
        path.write_bytes(content)
    async with running(tmp_path):
        after = listed(tmp_path)
    assert after.number > before.number
    assert after.installation == before.installation
    assert {"sha256:" + "ab" * 32, "sha256:" + "cd" * 32} <= after.entries.keys()


async def test_a_lost_database_takes_the_list_no_way_back(tmp_path: Path) -> None:
    async with running(tmp_path) as catalog:
        await withdraw(catalog, "ab" * 32)
        before = listed(tmp_path)
    for lost in (tmp_path / "db").glob("catalog.sqlite*"):
        lost.unlink()
    async with running(tmp_path):
        after = listed(tmp_path)
    assert (after.number, after.installation) == (before.number + 1, before.installation)
    assert after.entries.keys() == before.entries.keys()


async def test_the_catalog_believes_no_published_list_that_it_did_not_sign(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as catalog:
        await withdraw(catalog, "ab" * 32)
        await withdraw(catalog, "cd" * 32)
    foreign = (tmp_path / "one" / FILE).read_text()
    async with running(tmp_path / "two") as catalog:
        for published in (foreign, "{}", "[]", "x", "[" * 10_000):
            newest = await catalog.GetDenyList(pb.GetDenyListRequest(published=published))
            assert newest.number == 1


async def test_weights_that_fail_later_are_listed_until_a_pass_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    standing = [evaluation_pb2.FailedWeights(verdict="namespaces/a/verdicts/v", model="m", weight_files=["ab" * 32])]

    async def failed(_: Any, __: Any, ___: Any) -> evaluation_pb2.ListFailedWeightsResponse:
        return evaluation_pb2.ListFailedWeightsResponse(failures=standing)

    monkeypatch.setattr(NothingStands, "ListFailedWeights", failed)
    monkeypatch.setattr("posology.catalog.deny_list._ASK_SECONDS", 0.2)
    async with running(tmp_path):
        for present in (True, False):
            async with asyncio.timeout(10):
                while (("sha256:" + "ab" * 32) in listed(tmp_path).entries) is not present:
                    await asyncio.sleep(0.1)
            if present:
                assert listed(tmp_path).entries["sha256:" + "ab" * 32].kind == FAILED_FILE
            standing.clear()
    assert listed(tmp_path).number == 3


async def test_a_list_is_signed_anew_after_its_key_was_rotated_so_that_the_old_one_may_go(
    catalog: catalog_pb2_grpc.CatalogAsyncStub, tmp_path: Path
) -> None:
    await withdraw(catalog, "ab" * 32)
    before = listed(tmp_path)
    rotation = key_rotation.rotate(tmp_path / "keys", deny_list.KEY, days=1)
    async with asyncio.timeout(10):
        while rotation.new.id not in (tmp_path / FILE).read_text():
            await asyncio.sleep(0.1)
    key_rotation.revoke(tmp_path / "keys", rotation.old, reason="lost")
    after = deny_list.load(
        tmp_path / FILE, sorted((tmp_path / "keys").glob(f"{deny_list.KEY}*.pub")), revoked=frozenset({rotation.old})
    )
    assert (after.number, after.entries) == (before.number + 1, before.entries)
