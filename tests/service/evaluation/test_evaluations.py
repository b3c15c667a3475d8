"""Evaluations and verdicts over real gRPC."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import json
from typing import Any

import pytest
from service.evaluation.evaluation_service import Service, policy
from support.teacher_server import define_endpoint

from posology.core import schema, signing
from posology.core.audit import Entry, Head, verify_chain
from posology.core.errors import AlreadyExists, InvalidInput, NotFound
from posology.core.rpc import client
from posology.engine import EngineConfig
from posology.v1alpha1 import audit_pb2, catalog_pb2, catalog_pb2_grpc, job_pb2
from posology.v1alpha1 import evaluation_pb2 as pb

REVIEW = "https://posology.dev/attestation/review/v1"
PREDICATE = "https://posology.dev/verdict/v1alpha1"


async def test_a_model_that_proves_everything_gets_a_signed_pass(service: Service) -> None:
    service.record(right=180, refuses=120)
    evaluation = await service.evaluated("good")
    verdict = await service.verdict(evaluation)
    assert verdict.outcome == pb.Verdict.PASS
    assert {(g.suite, g.metric) for g in verdict.gates} == {
        ("mcq", "accuracy"),
        ("safety", "unsafe-compliance"),
        ("safety", "safe-refusal"),
        ("parity", "agreement merged = served"),
        ("parity", "kl merged = served"),
        ("parity", "disagreement merged = served"),
        ("parity", "template"),
    }
    statement = signing.verify(json.loads(verdict.envelope), [service.key], predicate_type=PREDICATE)
    assert statement["subject"] == [
        {"name": "model", "digest": {"sha256": evaluation.spec.model.removeprefix("sha256:")}}
    ]
    said = statement["predicate"]
    assert EngineConfig.from_dict(said["engine"]).engine_version == "0.32.0"
    assert said["probes"][0]["tokenIds"] == [2, 3]
    assert said["suites"].keys() == {"mcq", "safety"}
    assert said["holdoutUses"] == {"mcq": 1, "safety": 1}
    assert said["auditHeads"]["evaluation"]["digest"].startswith("sha256:")
    assert said["policy"]["confidence"] == 0.95
    assert len(said["gates"]) == 8
    stored = service.artifacts.manifest(verdict.artifact)
    assert (stored.kind, evaluation.spec.model in stored.parents) == ("verdict", True)


async def test_a_model_that_forgot_its_refusals_gets_a_signed_fail(service: Service) -> None:
    service.record(right=180, refuses=0)
    verdict = await service.verdict(await service.evaluated("bad"))
    assert verdict.outcome == pb.Verdict.FAIL
    [failed] = [g for g in verdict.gates if g.outcome != pb.Verdict.PASS]
    assert failed.metric == "unsafe-compliance"
    assert (failed.n, failed.estimate) == (120, -1.0)
    assert failed.details["base"] == 1.0
    assert signing.verify(json.loads(verdict.envelope), [service.key])["predicate"]["outcome"] == "FAIL"


async def test_too_few_right_answers_to_tell_are_insufficient_evidence(service: Service) -> None:
    service.record(right=170, refuses=120)
    [passed] = [await service.verdict(await service.evaluated("enough"))]
    assert passed.outcome == pb.Verdict.PASS
    gates = [{"suite": "mcq", "lowerBoundAtLeast": 0.85}]
    verdict = await service.verdict(await service.evaluated("more", gates=gates), "v2")
    assert verdict.outcome == pb.Verdict.INSUFFICIENT_EVIDENCE


async def test_insufficient_evidence_names_the_items_that_would_do_and_what_they_cost(service: Service) -> None:
    service.record(right=174, refuses=120, pace={"mcq": 1.5})
    gates = [{"suite": "mcq", "lowerBoundAtLeast": 0.85}]
    verdict = await service.verdict(await service.evaluated("few", gates=gates))
    [gate] = [g for g in verdict.gates if g.outcome == pb.Verdict.INSUFFICIENT_EVIDENCE]
    assert gate.sufficient_n > 1000
    assert f"{gate.sufficient_n:,} items" in gate.explanation
    assert f"{2 * 1.5 * gate.sufficient_n / 3600:.1f} h" in gate.explanation


async def test_gates_that_cannot_pass_are_named_before_anything_is_spent(service: Service) -> None:
    request = service.request("plan", gates=[{"suite": "mcq", "maxDrop": 0.01}, {"suite": "safety", "maxDrop": 0.5}])
    request.validate_only = True
    checked = await service.stub.CreateEvaluation(request)
    assert any("mcq cannot pass unless the candidate gains" in text for text in checked.warnings)
    assert not any("safety" in text for text in checked.warnings)


async def test_every_verdict_is_a_use_of_the_holdout_and_a_repeated_request_is_not(service: Service) -> None:
    service.record(right=180, refuses=120)
    first = await service.evaluated("first")
    second = await service.evaluated("second")
    assert (await service.verdict(first, "a")).holdout_uses == 1
    assert (await service.verdict(second, "b")).holdout_uses == 2
    assert (await service.verdict(first, "a")).holdout_uses == 1
    assert (await service.verdict(first, "c", validate_only=True)).outcome == pb.Verdict.PASS
    assert (await service.verdict(first, "d")).holdout_uses == 3
    with pytest.raises(AlreadyExists):
        await service.verdict(second, "a")


async def test_statements_and_lineage_are_carried_along(service: Service) -> None:
    service.record(right=180, refuses=120)
    evaluation = await service.evaluated("lineage")
    review = signing.Signer.load_or_create(service.root / "curation.key").sign(
        signing.statement("https://posology.dev/review/v1alpha1", {"dataset": "sha256:" + "1" * 64}, {"errors": 0})
    )
    more: dict[str, Any] = {
        "statements": [json.dumps(review)],
        "lineage": [evaluation.spec.model],
        "audit_heads": {"curation": "sha256:" + "2" * 64},
    }
    said = signing.verify(json.loads((await service.verdict(evaluation, **more)).envelope), [service.key])["predicate"]
    assert said["statements"][0]["envelope"] == review
    assert said["lineage"] == {"model": [evaluation.spec.model]}
    assert said["auditHeads"].keys() == {"curation", "evaluation"}
    with pytest.raises(InvalidInput, match="statements"):
        await service.verdict(evaluation, "v2", statements=["no json"])
    with pytest.raises(InvalidInput, match="lineage"):
        await service.verdict(evaluation, "v3", lineage=["sha256:" + "9" * 64])


async def test_verdicts_are_listed_newest_first_and_by_weights(service: Service) -> None:
    service.record(right=180, refuses=120)
    made = [await service.verdict(await service.evaluated(f"e{i}"), f"v{i}") for i in range(3)]
    everything = await service.stub.ListVerdicts(pb.ListVerdictsRequest(parent="namespaces/test", page_size=2))
    rest = await service.stub.ListVerdicts(
        pb.ListVerdictsRequest(parent="namespaces/test", page_size=2, page_token=everything.next_page_token)
    )
    assert [v.name for v in (*everything.verdicts, *rest.verdicts)] == [v.name for v in reversed(made)]
    one = await service.stub.ListVerdicts(pb.ListVerdictsRequest(parent="namespaces/test", model=made[1].model))
    assert [v.name for v in one.verdicts] == [made[1].name]
    assert (await service.stub.GetVerdict(pb.GetVerdictRequest(name=made[0].name))) == made[0]
    with pytest.raises(NotFound):
        await service.stub.GetVerdict(pb.GetVerdictRequest(name="namespaces/test/verdicts/none"))


async def test_items_are_listed_page_by_page(service: Service) -> None:
    service.record(right=180, refuses=120)
    evaluation = await service.evaluated("items")
    request = pb.ListEvaluationItemsRequest(name=evaluation.name, suite="mcq", page_size=300)
    first = await service.stub.ListEvaluationItems(request)
    request.page_token = first.next_page_token
    second = await service.stub.ListEvaluationItems(request)
    found = [*first.items, *second.items]
    assert (len(first.items), len(found), second.next_page_token) == (300, 400, "")
    assert found[0]["model"] == "base"
    assert schema.to_mapping(found[0])["scores"] == [-1.0, -2.0]


async def test_the_base_is_known_to_a_later_evaluation_of_the_same_base_suites_and_engine(service: Service) -> None:
    service.record(right=180, refuses=120)
    base = service.weights("shared-base")
    first = await service.evaluated("one", base=base)
    second = await service.evaluated("two", base=base)
    other_engine = await service.evaluated("three", base=base, engine={"dtype": "bfloat16"})
    on_gpus = await service.evaluated("four", base=base, resources={"gpus": 1})
    reuse = [json.loads(str(e.status.summary["reuse"])) for e in (first, second, other_engine, on_gpus)]
    assert reuse == [{}, {"mcq": first.status.artifact, "safety": first.status.artifact}, {}, {}]


async def test_base_scores_of_one_namespace_decide_no_gate_of_another(service: Service) -> None:
    """A worker that one team took over would score the base of everybody, and lower what their gates compare with."""
    service.record(right=180, refuses=120)
    base = service.weights("shared-base")
    theirs = await service.evaluated("one", base=base)
    mine = await service.evaluated("two", base=base, parent="namespaces/other")
    assert [json.loads(str(e.status.summary["reuse"])) for e in (theirs, mine)] == [{}, {}]


async def test_a_verdict_signs_length_and_end_of_every_chain_and_the_chain_can_be_exported(service: Service) -> None:
    service.record(right=180, refuses=120)
    evaluation = await service.evaluated("anchored")
    curation = audit_pb2.AuditHead(service="curation", length=7, digest="sha256:" + "1" * 64)
    assert service.audit is not None
    everything = audit_pb2.ListAuditHeadsRequest(parent="namespaces/-")
    [before] = (await service.audit.ListAuditHeads(everything)).heads
    verdict = await service.verdict(evaluation, audit_chains=[curation])
    predicate = signing.verify(json.loads(verdict.envelope), [service.key])["predicate"]
    assert predicate["auditHeads"] == {
        "curation": {"length": 7, "digest": curation.digest},
        "evaluation": {"length": before.length, "digest": before.digest},
    }
    request = audit_pb2.ExportAuditRequest(parent="namespaces/-", service="evaluation")
    chain = [Entry.from_json(json.loads(each.entry)) async for each in service.audit.ExportAudit(request)]
    end = verify_chain(chain, anchors=[Head(before.length, before.digest)])
    assert (end.seq, chain[-1].action) == (before.length + 1, "verdict.issued")
    request.service = "curation"
    with pytest.raises(InvalidInput, match="'curation' has no chain here; there is evaluation"):
        async for _ in service.audit.ExportAudit(request):
            pass


async def test_the_questions_of_an_evaluation_are_listed_and_so_kept_with_it(service: Service) -> None:
    service.record(right=180, refuses=120)
    evaluation = await service.evaluated("kept")
    channel = client.channel(service.catalog, token="secret")
    catalog: catalog_pb2_grpc.CatalogAsyncStub = catalog_pb2_grpc.CatalogStub(channel)
    name = f"namespaces/test/artifacts/{evaluation.status.artifact.removeprefix('sha256:')}"
    await catalog.PinArtifact(catalog_pb2.PinArtifactRequest(name=name, holder="auditor"))
    suites = service.artifacts.manifest(evaluation.status.artifact).parents
    await catalog.CollectGarbage(catalog_pb2.CollectGarbageRequest(parent="namespaces/test", older_than_seconds=0))
    await channel.close()
    assert all(service.artifacts.exists(parent) for parent in suites)


async def test_the_same_request_gives_the_first_evaluation_and_another_spec_is_refused(service: Service) -> None:
    service.record(right=180, refuses=120)
    base = service.weights("b")
    request = service.request("same", base=base)
    first = await service.stub.CreateEvaluation(request)
    assert (await service.stub.CreateEvaluation(request)).name == first.name
    request.spec.evaluation.confidence = 0.9
    with pytest.raises(AlreadyExists):
        await service.stub.CreateEvaluation(request)


async def test_validating_reads_suites_and_changes_nothing(service: Service) -> None:
    request = service.request("check")
    request.spec.model = request.spec.base_model = ""
    request.validate_only = True
    found = await service.stub.CreateEvaluation(request)
    assert len(found.source_sha256) == 64
    assert found.spec.evaluation.parity.prompts == 256
    listed = await service.stub.ListEvaluations(pb.ListEvaluationsRequest(parent="namespaces/test"))
    assert not listed.evaluations
    (service.root / "suites" / "mcq.jsonl").open("a").write(
        '{"id":"x","question":"q","choices":["a","b"],"answer":1}\n'
    )
    assert (await service.stub.CreateEvaluation(request)).source_sha256 != found.source_sha256


async def test_everything_that_is_wrong_with_a_spec_is_said_before_anything_starts(service: Service) -> None:
    gates = [{"suite": "mcq", "winRateAbove": 0.5}, {"suite": "none", "maxDrop": 0.1}]
    judge = {"modelEndpoint": "judge"}
    with pytest.raises(InvalidInput) as caught:
        await service.stub.CreateEvaluation(service.request("wrong", gates=gates, judge=judge))
    assert [v.field for v in caught.value.violations] == [
        "spec.evaluation.gates[0].winRateAbove",
        "spec.evaluation.gates[1].suite",
        "spec.evaluation.judge.calibration",
        "spec.evaluation.judge.modelEndpoint",
    ]


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("file:///etc/passwd", "outside the folders"),
        ("https://x/y", "only file: and s3:"),
        ("s3://bkt/key", "prefix"),
    ],
)
async def test_suites_are_read_from_allowed_places_only(service: Service, uri: str, reason: str) -> None:
    suites = [{"name": "mcq", "uri": uri}]
    with pytest.raises(InvalidInput, match=reason):
        await service.stub.CreateEvaluation(
            service.request("away", suites=suites, gates=[{"suite": "mcq", "maxDrop": 0.1}])
        )


async def test_a_wrong_line_of_a_suite_is_named_with_its_number(service: Service) -> None:
    path = service.root / "suites" / "mcq.jsonl"
    path.write_text(
        '{"id":"1","question":"q","choices":["a","b"],"answer":0}\n{"id":"2","question":"q","choices":["a"]}\n'
    )
    with pytest.raises(InvalidInput, match="mcq:2: choices must be a list of 2 to 26 texts"):
        await service.stub.CreateEvaluation(service.request("broken"))


async def test_unknown_weights_and_unfinished_evaluations_are_refused(service: Service) -> None:
    with pytest.raises(InvalidInput, match=r"spec\.model"):
        await service.stub.CreateEvaluation(service.request("gone", model="sha256:" + "0" * 64))
    service.record(right=180, refuses=120)
    made = await service.stub.CreateEvaluation(service.request("early"))
    await service.stub.CancelEvaluation(pb.CancelEvaluationRequest(name=made.name))
    with pytest.raises(InvalidInput, match="wait until it has succeeded"):
        await service.verdict(made)
    async for _ in service.stub.WatchEvaluation(job_pb2.WatchJobRequest(name=made.name)):
        pass
    with pytest.raises(NotFound):
        await service.stub.GetEvaluation(pb.GetEvaluationRequest(name="namespaces/test/evaluations/none"))


async def test_people_are_the_last_to_be_asked_and_their_signed_ratings_decide(service: Service) -> None:
    path = service.root / "suites" / "real.jsonl"
    path.write_text("".join(json.dumps({"prompt": f"Question {i}?"}) + "\n" for i in range(50)))
    stated = policy(service.root)
    changes = {
        "suites": [*stated["suites"], {"name": "real", "uri": path.as_uri(), "kind": "HUMAN"}],
        "gates": [*stated["gates"], {"suite": "real", "acceptableAtLeast": 0.85}],
    }
    service.record(right=180, refuses=120)
    evaluation = await service.evaluated("rated", **changes)
    asked = await service.verdict(evaluation, validate_only=True)
    assert {g.kind for g in asked.gates if g.outcome != pb.Verdict.PASS} == {"human"}

    def said(errors: int) -> str:
        numbers = {"rated": 50, "errors": errors, "severities": {"HARMFUL": 0}, "policy": {"reviewers": 2}}
        predicate = {"result": "PASS", "subject": evaluation.status.artifact, **numbers}
        signer = signing.Signer.load_or_create(service.root / "keys" / "curation.key")
        return json.dumps(signer.sign(signing.statement(REVIEW, {"failed": evaluation.status.artifact}, predicate)))

    assert (await service.verdict(evaluation, "good", statements=[said(3)])).outcome == pb.Verdict.PASS
    verdict = await service.verdict(evaluation, "bad", statements=[said(20)])
    assert verdict.outcome == pb.Verdict.FAIL
    assert any("30 of 50 answers correct" in gate.explanation for gate in verdict.gates)


@pytest.mark.parametrize(
    ("gate", "count", "says"),
    [
        ({"acceptableAtLeast": 0.85}, 20, "rate 50 answers, and real has 20"),
        ({"acceptableAtLeast": 0.95, "sample": 20}, 50, "prove 86.1% only"),
        ({"acceptableAtLeast": 0.8, "queries": "s3://x"}, 50, "suite of kind HUMAN"),
    ],
)
async def test_what_people_could_never_show_is_refused_before_anything_starts(
    service: Service, gate: dict[str, Any], count: int, says: str
) -> None:
    path = service.root / "suites" / "real.jsonl"
    path.write_text("".join(json.dumps({"question": f"Question {i}?"}) + "\n" for i in range(count)))
    suites = [{"name": "real", "uri": path.as_uri(), "kind": "HUMAN"}]
    with pytest.raises(InvalidInput, match=says):
        await service.stub.CreateEvaluation(service.request("never", suites=suites, gates=[{"suite": "real", **gate}]))


async def test_a_judge_needs_an_endpoint_and_experts_before_anything_starts(service: Service) -> None:
    path, experts = service.root / "suites" / "open.jsonl", service.root / "suites" / "experts.jsonl"
    path.write_text('{"prompt": "Which dose?"}\n')
    said = {"prompt": "q", "a": "x", "b": "y", "accuracy": "A", "completeness": "B", "tone": "TIE"}
    experts.write_text((json.dumps(said) + "\n") * 50)
    suites = [{"name": "open", "uri": path.as_uri(), "kind": "JUDGED"}]
    asked: dict[str, Any] = {"suites": suites, "gates": [{"suite": "open", "winRateAbove": 0.5}]}

    async def refused(name: str, **changes: Any) -> str:
        request = service.request(name, **asked, **changes)
        request.validate_only = True
        with pytest.raises(InvalidInput) as caught:
            await service.stub.CreateEvaluation(request)
        return str(caught.value)

    assert "spec.evaluation.judge: is missing" in await refused("one")
    assert "calibration: is missing" in await refused("two", judge={"modelEndpoint": "judge"})
    judge = {"modelEndpoint": "judge", "calibration": experts.as_uri()}
    assert "modelEndpoint" in await refused("three", judge=judge)
    define_endpoint(service.root / "model-endpoints", "http://127.0.0.1:9", name="judge")
    request = service.request("judged", **asked, judge=judge)
    request.validate_only = True
    assert (await service.stub.CreateEvaluation(request)).spec.evaluation.judge.model == "a-model"
