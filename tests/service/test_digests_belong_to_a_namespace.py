"""Attacks with a digest of another namespace: knowing one gives no right to the bytes behind it, at any service.

Serving is not among them: what it may serve, and in which namespace, stands in the signed verdict.
"""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import release
from support.catalogs import serving_catalog

from posology.core import schema
from posology.core.artifacts import ArtifactStore
from posology.core.errors import InvalidInput, NotFound, PosologyError
from posology.core.rpc import client, server
from posology.core.rpc.auth import ensure_token
from posology.core.signing import Signer
from posology.curation import app as curation_app
from posology.curation.settings import Settings as CurationSettings
from posology.evaluation import app as evaluation_app
from posology.evaluation.settings import Settings as EvaluationSettings
from posology.training import app as training_app
from posology.training.settings import Settings as TrainingSettings
from posology.v1alpha1 import (
    catalog_pb2,
    catalog_pb2_grpc,
    curation_pb2,
    curation_pb2_grpc,
    evaluation_pb2,
    evaluation_pb2_grpc,
    training_pb2,
    training_pb2_grpc,
)

MINE, THEIRS = "namespaces/mine", "namespaces/theirs"
KINDS = ("base-model", "dataset", "general", "preferences", "adapter", "model", "verdict", "evaluation", "review")


@dataclass(frozen=True)
class World:
    """Stubs by name of service, and a digest of each kind that only the other namespace lists."""

    stubs: dict[str, Any]
    theirs: dict[str, str]
    mine: dict[str, str]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    root = tmp_path
    token = ensure_token(root / "token")
    release.install(root)
    Signer.load_or_create(root / "keys" / "evaluation.key")
    async with AsyncExitStack() as stack:
        catalog = await stack.enter_async_context(serving_catalog(root, adopts=False))
        common: dict[str, Any] = {"data_dir": root, "catalog_address": catalog, "metrics_port": -1}
        built = {
            "curation": await curation_app.build(CurationSettings(**common), stack),
            "evaluation": await evaluation_app.build(EvaluationSettings(**common), stack),
            "training": (await stack.enter_async_context(training_app.build(TrainingSettings(**common)))).server(),
        }
        addresses = {"catalog": catalog}
        for name, one in built.items():
            addresses[name] = await stack.enter_async_context(server.running(one))
        stubs: dict[str, Any] = {}
        for name, stub in (
            ("catalog", catalog_pb2_grpc.CatalogStub),
            ("curation", curation_pb2_grpc.CurationStub),
            ("evaluation", evaluation_pb2_grpc.EvaluationStub),
            ("training", training_pb2_grpc.TrainingStub),
        ):
            channel = client.channel(addresses[name], token=token, service=name)
            stubs[name] = stub(await stack.enter_async_context(channel))
        yield World(stubs, await listed(root, stubs["catalog"], THEIRS), await listed(root, stubs["catalog"], MINE))


async def listed(root: Path, catalog: catalog_pb2_grpc.CatalogAsyncStub, parent: str) -> dict[str, str]:
    """An artifact of each kind in one namespace."""
    store, digests = ArtifactStore(f"file://{root}/artifacts/candidates"), {}
    for kind in KINDS:
        folder = root / "drafts" / parent / kind
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "of": parent}))
        digests[kind] = store.publish(folder, kind=kind, producer="test/0")
        await catalog.CreateArtifact(
            catalog_pb2.CreateArtifactRequest(parent=parent, artifact=catalog_pb2.Artifact(digest=digests[kind]))
        )
    return digests


def training_job(**spec: Any) -> training_pb2.CreateTrainingJobRequest:
    message = schema.parse(training_pb2.TrainingJobSpec, spec)
    return training_pb2.CreateTrainingJobRequest(parent=MINE, training_job_id="a", spec=message)


def requests(of: dict[str, str], other: dict[str, str]) -> dict[str, tuple[str, str, Any, str]]:
    """By what is asked: service, method, a request with one digest of `of`, and the field that holds it."""
    pushed = training_pb2.BaseModelSpec(uri=f"artifact:{of['base-model']}")
    evaluated = {
        "model": other["model"],
        "baseModel": other["base-model"],
        "evaluation": {
            "suites": [{"name": "s", "uri": "file:///s.jsonl", "kind": "MULTIPLE_CHOICE"}],
            "gates": [{"suite": "s", "atLeast": 0.5}],
        },
    }
    sft = {"dataset": other["dataset"], "config": {}}

    def evaluation(**spec: Any) -> evaluation_pb2.CreateEvaluationRequest:
        message = schema.parse(evaluation_pb2.EvaluationJobSpec, {**evaluated, **spec})
        return evaluation_pb2.CreateEvaluationRequest(parent=MINE, evaluation_id="a", spec=message)

    def dpo(**task: Any) -> training_pb2.CreateTrainingJobRequest:
        whole = {"sft": other["adapter"], "preferences": other["preferences"], "config": {}, **task}
        return training_job(baseModel=other["base-model"], dpo=whole)

    def preflight(**task: Any) -> training_pb2.CreateTrainingJobRequest:
        return training_job(
            baseModel=other["base-model"], preflight={"dataset": other["dataset"], "training": {"sft": {}}, **task}
        )

    return {
        "plan over their base": (
            "training",
            "PlanTraining",
            training_pb2.PlanTrainingRequest(
                parent=MINE, base_model=pushed, rows=1, training=training_pb2.TrainingSpec(sft=training_pb2.SftConfig())
            ),
            "base_model.uri",
        ),
        "look into their base": (
            "training",
            "InspectModel",
            training_pb2.InspectModelRequest(parent=MINE, base_model=pushed),
            "base_model.uri",
        ),
        "import their base": (
            "training",
            "CreateBaseModel",
            training_pb2.CreateBaseModelRequest(parent=MINE, base_model_id="a", spec=pushed),
            "spec.uri",
        ),
        "tune their base": (
            "training",
            "CreateTrainingJob",
            training_job(baseModel=of["base-model"], sft=sft),
            "spec.base_model",
        ),
        "learn from their data": (
            "training",
            "CreateTrainingJob",
            training_job(baseModel=other["base-model"], sft={"dataset": of["dataset"], "config": {}}),
            "spec.sft.dataset",
        ),
        "mix in their general rows": (
            "training",
            "CreateTrainingJob",
            training_job(baseModel=other["base-model"], sft={**sft, "general": of["general"]}),
            "spec.sft.general",
        ),
        "tokenise their general rows": (
            "training",
            "CreateTrainingJob",
            preflight(general=of["general"]),
            "spec.preflight.general",
        ),
        "go on with their adapter": ("training", "CreateTrainingJob", dpo(sft=of["adapter"]), "spec.dpo.sft"),
        "prefer what they prefer": (
            "training",
            "CreateTrainingJob",
            dpo(preferences=of["preferences"]),
            "spec.dpo.preferences",
        ),
        "tokenise their data": (
            "training",
            "CreateTrainingJob",
            preflight(dataset=of["dataset"]),
            "spec.preflight.dataset",
        ),
        "tokenise their preferences": (
            "training",
            "CreateTrainingJob",
            preflight(preferences=of["preferences"]),
            "spec.preflight.preferences",
        ),
        "merge their adapter": (
            "training",
            "MergeAdapter",
            training_pb2.MergeAdapterRequest(
                parent=MINE, training_job_id="a", base_model=other["base-model"], adapter=of["adapter"]
            ),
            "adapter",
        ),
        "make preferences of their data": (
            "curation",
            "CreatePreferenceSet",
            curation_pb2.CreatePreferenceSetRequest(
                parent=MINE,
                preference_set_id="a",
                spec=curation_pb2.PreferenceSetSpec(dataset=of["dataset"], preferences=curation_pb2.Preferences()),
            ),
            "spec.dataset",
        ),
        "review, and so read, their data": (
            "curation",
            "CreateReview",
            curation_pb2.CreateReviewRequest(
                parent=MINE, review_id="a", subject=of["dataset"], policy=curation_pb2.Review.Policy(sample=1)
            ),
            "subject",
        ),
        "evaluate their model": ("evaluation", "CreateEvaluation", evaluation(model=of["model"]), "spec.model"),
        "compare with their base": (
            "evaluation",
            "CreateEvaluation",
            evaluation(baseModel=of["base-model"]),
            "spec.base_model",
        ),
        "check parity with their adapter": (
            "evaluation",
            "CreateEvaluation",
            evaluation(adapter=of["adapter"]),
            "spec.adapter",
        ),
        "check parity over their base": (
            "evaluation",
            "CreateEvaluation",
            evaluation(tunedFrom=of["model"]),
            "spec.tuned_from",
        ),
        "sign their data into a lineage": (
            "evaluation",
            "IssueVerdict",
            evaluation_pb2.IssueVerdictRequest(
                parent=MINE, verdict_id="a", evaluation=f"{MINE}/evaluations/a", lineage=[other["model"], of["dataset"]]
            ),
            "lineage[1]",
        ),
    }


async def test_a_digest_of_another_namespace_is_refused_by_its_field(world: World) -> None:
    through = []
    for attack, (service, method, request, field) in requests(world.theirs, world.mine).items():
        try:
            await getattr(world.stubs[service], method)(request)
            through.append(attack)
        except PosologyError as error:
            refused = isinstance(error, InvalidInput) and f"{field}: there is no artifact" in error.message
            if not (refused and "in namespace mine" in error.message):
                through.append(f"{attack} (it failed for another reason: {error.message})")
    assert through == []


async def test_the_same_calls_with_digests_of_ones_own_get_past_that(world: World) -> None:
    refused = []
    for service, method, request, _ in requests(world.mine, world.mine).values():
        try:
            await getattr(world.stubs[service], method)(request)
        except PosologyError as error:
            refused += [error.message] if "in namespace" in error.message else []
    assert refused == []


async def test_a_digest_that_exists_nowhere_and_one_of_another_namespace_look_alike(world: World) -> None:
    """Else asking would tell what others have."""
    messages = []
    for digest in (world.theirs["base-model"], "sha256:" + "7" * 64):
        base = training_pb2.BaseModelSpec(uri=f"artifact:{digest}")
        with pytest.raises(InvalidInput) as refused:
            await world.stubs["training"].InspectModel(training_pb2.InspectModelRequest(parent=MINE, base_model=base))
        messages.append(refused.value.message.replace(digest, "DIGEST"))
    assert messages[0] == messages[1]


async def test_leaving_the_namespace_out_opens_none(world: World) -> None:
    base = training_pb2.BaseModelSpec(uri=f"artifact:{world.theirs['base-model']}")
    with pytest.raises(InvalidInput, match="in namespace default"):
        await world.stubs["training"].InspectModel(training_pb2.InspectModelRequest(base_model=base))


async def test_bytes_of_another_namespace_are_not_read(world: World) -> None:
    name = f"{MINE}/artifacts/{world.theirs['dataset'].removeprefix('sha256:')}"
    with pytest.raises(NotFound):
        await world.stubs["catalog"].GetArtifactManifest(catalog_pb2.GetArtifactManifestRequest(name=name))
