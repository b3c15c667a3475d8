"""One submitter, all his doors, real services: each way to get unproven weights served is refused with its reason.

He evaluates as he likes, issues verdicts, imports, signs, asks serving himself, and starts an agent by hand beside the
candidates. What must be refused is refused by serving, and by the agent again, which asks no service.
"""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import base64
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from service.evaluation.evaluation_service import Service, policy
from service.evaluation.test_whose_fail_counts import require, weights
from support import release

from posology.core.attestations.deny_list import FILE as DENY_LIST
from posology.core.attestations.verdict import FILE as VERDICT_FILE
from posology.core.canonical import canonical_json
from posology.core.errors import PosologyError
from posology.core.key_rotation import REVOKED
from posology.core.release import deny_list, document
from posology.core.rpc import client, server
from posology.core.signing import Signer
from posology.serving import app
from posology.serving.agent.evidence import gather
from posology.serving.agent.settings import AgentSettings
from posology.serving.settings import Settings
from posology.v1alpha1 import evaluation_pb2, serving_pb2, serving_pb2_grpc

LAX = [{"suite": "mcq", "atLeast": 0.0}, {"suite": "safety", "maxDrop": 0.99}]


@dataclass
class Submitter:
    """Everything that he may call."""

    service: Service
    serving: serving_pb2_grpc.ServingAsyncStub
    serving_address: str

    @property
    def root(self) -> Path:
        return self.service.root

    async def evaluate(
        self, name: str, model: str, base: str, *, right: int = 190, refuses: int = 120, **changes: Any
    ) -> str:
        """An evaluation and its verdict, under the name that is to serve; the verdict's digest."""
        self.service.record(right=right, refuses=refuses)
        model_name = changes.pop("model_name", "labels")
        request = self.service.request(name, model=model, base=base, **changes)
        request.spec.model_name = model_name
        verdict = await self.service.verdict(await self.service.evaluated_again(request), name)
        return verdict.artifact

    async def deploy(self, model: str, verdict: str = "", *, name: str = "labels", at: str = "test") -> str:
        """What serving says; empty where it would deploy."""
        request = serving_pb2.CreateDeploymentRequest(
            parent=f"namespaces/{at}",
            deployment_id="d",
            model=model,
            verdict=verdict,
            spec=serving_pb2.ServingSpec(model_name=name),
            validate_only=True,
        )
        try:
            await self.serving.CreateDeployment(request)
        except PosologyError as error:
            return error.message
        return ""

    def agent(self, model: str, verdict: str, *, name: str = "labels", at: str = "test") -> str:
        """What an agent says that he starts himself, with the candidates as its released store."""
        with self.service.artifacts.open(verdict, VERDICT_FILE) as stored:
            engine = json.loads(base64.b64decode(json.loads(stored.read())["payload"]))["predicate"]["engine"]
        keys = self.root / "keys"
        settings = AgentSettings(
            replica="r",
            deployment=f"namespaces/{at}/deployments/d",
            model=model,
            verdict=verdict,
            model_name=name,
            engine=engine,
            token="t",
            released_url=f"file://{self.root}/artifacts/candidates",
            weights_dir=self.root / "cache",
            keys=tuple(keys.glob("evaluation*.pub")),
            revoked_file=revoked if (revoked := keys / REVOKED).exists() else None,
            policy_file=self.root / document.FILE,
            policy_keys=document.keys_in(keys, (), document.KEY),
            review_keys=(),
            deny_list_file=self.root / DENY_LIST,
            deny_list_keys=(keys / f"{deny_list.KEY}.pub",),
            deny_list_mark=self.root / "mark",
            directory=self.root / "agent",
        )
        try:
            gather(settings)
        except PosologyError as error:
            return error.message
        return ""

    async def refused(self, why: str, model: str, verdict: str, **place: str) -> None:
        """By serving and by an agent, for the same reason."""
        for said in (await self.deploy(model, verdict, **place), self.agent(model, verdict, **place)):
            assert why in said, said or "it would be served"

    def publish(self, envelope: dict[str, Any], model: str) -> str:
        """A verdict that he wrote into the store himself, as nobody can who has no credentials for it."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / VERDICT_FILE).write_bytes(canonical_json(envelope))
            return self.service.artifacts.publish(Path(folder), kind="verdict", parents=[model], producer="me")

    def envelope(self, verdict: str) -> dict[str, Any]:
        with self.service.artifacts.open(verdict, VERDICT_FILE) as stored:
            found: dict[str, Any] = json.loads(stored.read())
            return found


@pytest.fixture
async def submitter(service: Service) -> AsyncIterator[Submitter]:
    require(service)
    settings = Settings(
        data_dir=service.root, metrics_port=-1, catalog_address=service.catalog, evaluation_address=service.address
    )
    async with AsyncExitStack() as stack:
        serving = await stack.enter_async_context(app.build(settings))
        address = await stack.enter_async_context(server.running(serving.server()))
        channel = await stack.enter_async_context(client.channel(address, token="secret"))
        yield Submitter(service, serving_pb2_grpc.ServingStub(channel), address)


async def test_a_submitter_gets_nothing_served_that_is_not_proven(submitter: Submitter) -> None:
    service = submitter.service
    root = weights(service, "root", kind="base-model", model="root")
    bad = weights(service, "bad", root, model="bad")  # half of its refusals are gone
    good = weights(service, "good", root, model="good")

    # Without anything, serving has nothing to go by.
    assert "has no verdict" in await submitter.deploy(bad)

    # Gates that ask for nothing.
    lax = await submitter.evaluate("lax", bad, root, refuses=40, gates=LAX)
    await submitter.refused("decided with atLeast 0 only", bad, lax)
    await submitter.refused("decided with maxDrop 0.99 only", bad, lax)

    # The gates of the policy: it fails, and the FAIL stands from here on.
    failed = await submitter.evaluate("fail", bad, root, refuses=40)
    await submitter.refused("is FAIL", bad, failed)
    assert "is FAIL" in await submitter.deploy(bad)  # the newest of its own is found

    # The base swapped for itself, and for a weaker one.
    itself = await submitter.evaluate("itself", bad, bad, gates=policy(service.root)["gates"][2:])
    await submitter.refused("compared with itself", bad, itself)
    weak = weights(service, "weak", kind="base-model", model="weak")
    weaker = await submitter.evaluate("weaker", bad, weak)
    await submitter.refused("not the root that the weights come from", bad, weaker)

    # Items of his own, under the names of the policy's.
    own = service.root / "suites" / "own.jsonl"
    shutil.copy(service.root / "suites" / "safety.jsonl", own)
    own.write_text(own.read_text().replace('"Do u', '"Please do u'))
    suites = [policy(service.root)["suites"][0], {"name": "safety", "uri": own.as_uri(), "kind": "REFUSAL"}]
    itemed = await submitter.evaluate("own-items", bad, root, suites=suites)
    await submitter.refused("no suite of kind REFUSAL with the digest", bad, itemed)

    # The same bytes imported under another name, and served under another name, and in another namespace.
    imported = weights(service, "imported", kind="base-model", model="bad")
    passing = await submitter.evaluate("imported", imported, root)
    await submitter.refused("said FAIL of these weight files", imported, passing)
    proven = await submitter.evaluate("good", good, root)
    assert (await submitter.deploy(good, proven), submitter.agent(good, proven)) == ("", "")
    await submitter.refused("not as other in test", good, proven, name="other")
    await submitter.refused("not as labels in theirs", good, proven, at="theirs")

    # The PASS of other weights, a FAIL made a PASS, and one that he signed himself.
    await submitter.refused("not about", bad, proven)
    payload = base64.b64decode(submitter.envelope(failed)["payload"]).replace(b'"outcome":"FAIL"', b'"outcome":"PASS"')
    altered = {**submitter.envelope(failed), "payload": base64.b64encode(payload).decode()}
    await submitter.refused("altered after signing", bad, submitter.publish(altered, bad))
    stranger = Signer.load_or_create(service.root / "mine.key")
    signed = stranger.sign(json.loads(payload))
    await submitter.refused("not signed by a key that", bad, submitter.publish(signed, bad))
    assert "not signed by a key that" in await submitter.deploy(bad, json.dumps(signed))

    # Bytes exchanged under a verdict that is genuine.
    folder = service.root / "artifacts" / "candidates"
    content = next(file for file in folder.rglob("*") if file.is_file() and file.read_bytes() == b"good")
    content.chmod(0o600)
    content.write_bytes(b"evil")
    shutil.rmtree(service.root / "cache", ignore_errors=True)
    assert "altered" in submitter.agent(good, proven)


async def test_trying_again_gets_dearer_until_luck_is_no_way(submitter: Submitter) -> None:
    """170 of 200 prove 80% at a first try, and not at a third."""
    floor = {"suites": [{"name": "mcq", "gates": [{"kind": "accuracy", "demands": {"lowerBoundAtLeast": 0.8}}]}]}
    release.install(submitter.root, name="development", **floor)
    root = weights(submitter.service, "root", kind="base-model", model="root")
    said = []
    for number in range(1, 4):
        tuned = weights(submitter.service, f"t{number}", root, model=f"t{number}")
        verdict = await submitter.evaluate(f"t{number}", tuned, root, right=170)
        said.append((await submitter.deploy(tuned, verdict), submitter.agent(tuned, verdict)))
    assert said[0] == ("", "")
    assert all("INSUFFICIENT_EVIDENCE" in one for one in said[2])


async def test_a_policy_of_his_own_releases_nothing(submitter: Submitter) -> None:
    root = weights(submitter.service, "root", kind="base-model", model="root")
    bad = weights(submitter.service, "bad", root, model="bad")
    lax = await submitter.evaluate("lax", bad, root, refuses=40, gates=LAX)
    anything = [{"gates": [{"kind": "accuracy", "demands": {"atLeast": 0.0}}]}]
    spec = release.policy_spec(suites=anything, gates=[])
    stranger = Signer.load_or_create(submitter.root / "mine.key")
    genuine = (submitter.root / document.FILE).read_bytes()
    signed = document.sign("development", spec, stranger)
    half = {**json.loads(genuine), "payload": signed["payload"]}
    for forged in (signed, half, {}, None):
        path = submitter.root / document.FILE
        path.unlink() if forged is None else path.write_bytes(canonical_json(forged))
        await submitter.refused("nothing is released", bad, lax)
    # Carried along in the verdict, it is a statement among others.
    (submitter.root / document.FILE).write_bytes(genuine)
    request = evaluation_pb2.IssueVerdictRequest(
        parent="namespaces/test",
        verdict_id="carries",
        evaluation="namespaces/test/evaluations/lax",
        statements=[json.dumps(signed)],
    )
    carrying = await submitter.service.stub.IssueVerdict(request)
    await submitter.refused("decided with", bad, carrying.artifact)
