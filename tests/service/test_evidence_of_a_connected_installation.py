"""What an auditor asks of an installation elsewhere is read through its services: never from a folder that happens to
lie here, and never "nothing is affected" where nobody could look."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import release, signed_world
from support.catalogs import serving_catalog
from typer.testing import CliRunner, Result

from posology.cli import evidence
from posology.cli.app import app
from posology.client import Client
from posology.client.explain import explain
from posology.client.installation import Installation
from posology.client.recall import recall
from posology.core.errors import DataCorrupt, FailedPrecondition, NotFound, Unavailable
from posology.core.release import document
from posology.core.rpc import server
from posology.core.rpc.auth import ensure_token
from posology.core.settings import ServiceSettings
from posology.core.times import utc_now
from posology.evaluation import app as evaluation_app
from posology.evaluation.settings import Settings as EvaluationSettings
from posology.gateway import app as gateway_app
from posology.gateway.answers import AnswerLog
from posology.gateway.domain import Answer, AnswerKind, AnswerState, Provenance
from posology.gateway.settings import Settings as GatewaySettings
from posology.serving import app as serving_app
from posology.serving.settings import Settings as ServingSettings
from posology.v1alpha1 import catalog_pb2
from posology.v1alpha1.serving_pb2 import Deployment


@dataclass
class Elsewhere:
    """An installation whose bytes are not here, a client of it, and what it made."""

    client: Client
    here: Path
    world: signed_world.World
    verdict: str
    environment: dict[str, str]
    log: AnswerLog

    def lose(self, digest: str) -> None:
        """The bytes are gone, the listing is not."""
        hexes = digest.removeprefix("sha256:")
        lost = [file for file in self.world.root.rglob("*") if hexes in str(file) and file.is_file()]
        assert lost
        for file in lost:
            file.unlink()

    async def answered(self) -> str:
        """An answer by the model, as the gateway records it; its id."""
        answer = Answer(
            id="a1",
            namespace="default",
            key_id="k",
            created_at=utc_now(),
            kind=AnswerKind.CHAT,
            model="labels",
            deployment="namespaces/default/deployments/gone",
            agent="",
            provenance=Provenance(self.world.model, self.verdict),
            streamed=False,
            prompt_hash="0" * 64,
            state=AnswerState.COMPLETE,
        )
        await self.log.add(answer)
        return "a1"

    async def type(self, *words: str) -> Result:
        """A command, as typed here."""
        typed = ["--data", str(self.here), *words]
        return await asyncio.to_thread(CliRunner().invoke, app, typed, env=self.environment)


@pytest.fixture
async def elsewhere(tmp_path: Path) -> AsyncIterator[Elsewhere]:
    there, here = tmp_path / "there", tmp_path / "here"
    token = ensure_token(there / "token")
    world = signed_world.build(there / "artifacts")
    verdict = world.seal()
    (here / "artifacts").mkdir(parents=True)
    signed_world.build(here / "artifacts")  # an installation of the same kind lies here, too: it is not asked
    release.install(there)
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(
            serving_catalog(there, adopts=False, candidates_url=f"file://{there}/artifacts/candidates")
        )
        common: dict[str, Any] = {"data_dir": there, "catalog_address": catalog, "metrics_port": -1}
        evaluation = await evaluation_app.build(EvaluationSettings(**common), stack)
        addresses = {"orchestrator": catalog, "catalog": catalog}
        addresses["evaluation"] = await stack.enter_async_context(server.running(evaluation))
        common["evaluation_address"] = addresses["evaluation"]
        serving = await stack.enter_async_context(serving_app.build(ServingSettings(**common)))
        addresses["serving"] = await stack.enter_async_context(server.running(serving.server()))
        gateway = await stack.enter_async_context(
            gateway_app.build(
                GatewaySettings(**common, serving_address=addresses["serving"], http_listen="127.0.0.1:0")
            )
        )
        addresses["gateway"] = await stack.enter_async_context(server.running(gateway.server()))
        (here / "token").write_text(token)
        (here / "token").chmod(0o600)
        settings = ServiceSettings(data_dir=here, token_file=here / "token")
        installation = Installation(
            settings, addresses=addresses, own_addresses=addresses, connected=True, gateway_url=gateway.http.url
        )
        client = await stack.enter_async_context(Client(installation))
        for digest, _ in world.store.list():
            request = catalog_pb2.CreateArtifactRequest(
                parent="namespaces/default", artifact=catalog_pb2.Artifact(digest=digest)
            )
            await client.catalog.CreateArtifact(request)
        environment = {f"POSOLOGY_{name.upper()}_ADDRESS": address for name, address in addresses.items()}
        environment |= {"POSOLOGY_TOKEN": token, "HOME": str(here)}
        yield Elsewhere(client, here, world, verdict, environment, gateway.log)


async def test_recall_finds_what_the_services_have_and_this_folder_has_not(elsewhere: Elsewhere) -> None:
    await elsewhere.answered()
    recalled = await recall(elsewhere.client, "quotazol")
    world = elsewhere.world
    assert {one.digest for one in recalled.made} == {world.model, world.predicate["adapter"]}
    assert world.predicate["dataset"] in {one.digest for one in recalled.data}
    assert (recalled.answers, recalled.unread) == (1, ())
    with pytest.raises(NotFound, match="no data set has a section"):
        await recall(elsewhere.client, "nosuchdrug")


async def test_what_nobody_can_read_is_never_said_to_be_unaffected(elsewhere: Elsewhere) -> None:
    for digest in elsewhere.world.predicate["lineage"]["dataset"]:
        elsewhere.lose(digest)
    for what in ("quotazol", "nosuchdrug", "s-1", "label-1"):
        with pytest.raises(FailedPrecondition, match="nobody knows whether they rest on it"):
            await recall(elsewhere.client, what)


async def test_some_that_can_be_read_hide_none_that_can_not(elsewhere: Elsewhere) -> None:
    _, raw = elsewhere.world.predicate["lineage"]["dataset"]
    elsewhere.lose(raw)
    recalled = await recall(elsewhere.client, "quotazol")
    assert recalled.unread == (raw,)
    assert any(raw in line for line in evidence.recall_lines(recalled))


async def test_altered_bytes_and_services_that_are_away_are_errors_and_no_answers(elsewhere: Elsewhere) -> None:
    dataset = elsewhere.world.predicate["dataset"]
    signed_world.spoil(elsewhere.world.stored, dataset, "sections.jsonl")
    with pytest.raises(DataCorrupt):
        await recall(elsewhere.client, "quotazol")
    away = dict(
        elsewhere.environment, POSOLOGY_ORCHESTRATOR_ADDRESS="127.0.0.1:1", POSOLOGY_CATALOG_ADDRESS="127.0.0.1:1"
    )
    elsewhere.environment.update(away)
    ended = await elsewhere.type("recall", "quotazol")
    assert isinstance(ended.exception, Unavailable)


async def test_an_explanation_has_verdict_gates_and_reviews(elsewhere: Elsewhere) -> None:
    explanation = await explain(elsewhere.client, await elsewhere.answered(), question="What is the dose of Quotazol?")
    assert explanation.verdict["outcome"] == "PASS"
    assert explanation.verdict["gates"]
    assert explanation.reviews
    assert explanation.dataset == elsewhere.world.predicate["dataset"]
    assert explanation.sentences
    assert explanation.unread == ()


async def test_an_explanation_says_what_it_could_not_read(elsewhere: Elsewhere) -> None:
    elsewhere.lose(elsewhere.verdict)
    elsewhere.lose(elsewhere.world.predicate["dataset"])
    explanation = await explain(elsewhere.client, await elsewhere.answered(), question="What is the dose of Quotazol?")
    assert any(elsewhere.verdict in line for line in explanation.unread)
    assert any(elsewhere.world.predicate["dataset"] in line for line in explanation.unread)
    shown = "\n".join(evidence.explanation_lines(explanation))
    assert "can't be read here" in shown
    assert "no review is signed" not in shown


async def test_verify_takes_bytes_from_there_and_keys_from_whoever_asks(elsewhere: Elsewhere) -> None:
    world = elsewhere.world
    ended = await elsewhere.type("verify", elsewhere.verdict)
    assert "--keys FOLDER" in str(ended.exception)
    ended = await elsewhere.type("verify", elsewhere.verdict, "--keys", str(world.keys))
    assert "not held against a release policy" in ended.output + ended.stderr
    assert ended.exit_code == 0, ended.output
    ended = await elsewhere.type("verify", elsewhere.verdict, "--keys", str(elsewhere.here / "artifacts" / "keys"))
    assert ended.exit_code == 1  # the keys that lie here are another installation's
    signed_world.spoil(world.stored, world.model, "model.safetensors")
    ended = await elsewhere.type("verify", elsewhere.verdict, "--keys", str(world.keys))
    assert ended.exit_code == 1 or isinstance(ended.exception, DataCorrupt)


async def test_verify_says_how_each_requirement_is_met(elsewhere: Elsewhere, tmp_path: Path) -> None:
    keys = elsewhere.world.keys
    release.install(tmp_path / "signed")
    (keys / document.FILE).write_bytes((tmp_path / "signed" / document.FILE).read_bytes())
    (keys / f"{document.KEY}.pub").write_bytes((tmp_path / "signed" / "keys" / f"{document.KEY}.pub").read_bytes())
    ended = await elsewhere.type("verify", elsewhere.verdict, "--keys", str(keys))
    assert ended.exit_code == 1
    for requirement in ("a model name", "gates compare with a root", "accuracy on mcq", "parity"):
        assert requirement in " ".join(ended.output.split())


async def test_what_is_pushed_lies_there_and_not_here(elsewhere: Elsewhere, tmp_path: Path) -> None:
    folder = tmp_path / "pushed"
    folder.mkdir()
    (folder / "model.safetensors").write_text("new weights")
    ended = await elsewhere.type("push", str(folder))
    assert ended.exit_code == 0, ended.output
    digest = ended.output.split()[-1]
    assert elsewhere.world.store.exists(digest)
    assert not any(digest.removeprefix("sha256:") in str(file) for file in elsewhere.here.rglob("*"))
    away = dict.fromkeys(("POSOLOGY_ORCHESTRATOR_ADDRESS", "POSOLOGY_CATALOG_ADDRESS"), "127.0.0.1:1")
    elsewhere.environment.update(away)
    (folder / "model.safetensors").write_text("newer weights")
    ended = await elsewhere.type("push", str(folder))
    assert isinstance(ended.exception, Unavailable)
    assert "sha256:" not in ended.output


async def test_what_is_pulled_comes_from_there_byte_for_byte(elsewhere: Elsewhere, tmp_path: Path) -> None:
    model, stored = elsewhere.world.model, elsewhere.world.store
    ended = await elsewhere.type("pull", model, "--to", str(tmp_path / "pulled"))
    assert ended.exit_code == 0, ended.output
    for file in stored.manifest(model).files:
        with stored.open(model, file.path) as published:
            assert (tmp_path / "pulled" / file.path).read_bytes() == published.read()
    assert model in next((tmp_path / "pulled").glob("*.md")).read_text()
    ended = await elsewhere.type("pull", "sha256:" + "0" * 64, "--to", str(tmp_path / "nothing"))
    assert isinstance(ended.exception, NotFound)
    signed_world.spoil(elsewhere.world.stored, model, stored.manifest(model).files[0].path)
    ended = await elsewhere.type("pull", model, "--to", str(tmp_path / "spoilt"))
    assert isinstance(ended.exception, DataCorrupt)
    away = dict.fromkeys(("POSOLOGY_ORCHESTRATOR_ADDRESS", "POSOLOGY_CATALOG_ADDRESS"), "127.0.0.1:1")
    elsewhere.environment.update(away)
    ended = await elsewhere.type("pull", model, "--to", str(tmp_path / "late"))
    assert isinstance(ended.exception, Unavailable)
    assert not {"nothing", "spoilt", "late"} & set(os.listdir(tmp_path))


async def test_asking_where_no_engine_answers_is_to_be_tried_again(elsewhere: Elsewhere) -> None:
    """Exit code 3: nothing is wrong with the question."""
    elsewhere.environment["POSOLOGY_GATEWAY_URL"] = elsewhere.client.installation.gateway_url
    ended = await elsewhere.type("ask", "What is the dose?")
    assert isinstance(ended.exception, Unavailable)
    assert "no model is served" in str(ended.exception)
    ended = await elsewhere.type("ask", "What is the dose?", "--model", "nosuch")
    assert isinstance(ended.exception, NotFound)


async def test_asking_a_deployment_that_failed_says_why_it_did(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failed(_: Client) -> list[Deployment]:
        name = "namespaces/default/deployments/labels"
        return [Deployment(name=name, model_name="labels", state=Deployment.FAILED, reason="no memory is left")]

    monkeypatch.setattr(Client, "deployments", failed)
    elsewhere.environment["POSOLOGY_GATEWAY_URL"] = elsewhere.client.installation.gateway_url
    for words in (["ask", "What?"], ["ask", "What?", "--model", "labels"]):
        ended = await elsewhere.type(*words)
        assert isinstance(ended.exception, Unavailable), words
        assert "labels is FAILED: no memory is left" in str(ended.exception)
    assert isinstance((await elsewhere.type("ask", "What?", "--model", "other")).exception, NotFound)
