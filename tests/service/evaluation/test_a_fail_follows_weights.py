"""The evaluation service against whoever writes gates, names bases and tries again: what it signs gives them away."""

import json
from pathlib import Path
from typing import Any

import pytest
from service.evaluation.evaluation_service import Service, policy
from support import release

from posology.core.attestations.verdict import VerdictPredicate
from posology.core.canonical import canonical_json
from posology.core.errors import InvalidInput
from posology.core.release import document
from posology.core.signing import Signer, verify
from posology.v1alpha1 import evaluation_pb2 as pb

REFUSAL_ONLY = {"gates": [{"suite": "safety", "maxDrop": 0.10}]}


def model(service: Service, name: str, *, content: str = "", parents: tuple[str, ...] = (), kind: str = "model") -> str:
    """Weights with an origin; equal content is an equal weight file."""
    folder = service.root / "made" / name
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_text(content or name)
    (folder / "config.json").write_text(json.dumps({"name": name}))
    return service.artifacts.publish(folder, kind=kind, producer="test", parents=parents)


def signed(service: Service, verdict: pb.Verdict) -> VerdictPredicate:
    return VerdictPredicate.from_json(verify(json.loads(verdict.envelope), [service.key])["predicate"])


async def failing(service: Service) -> tuple[str, str]:
    """A root, and weights tuned from it that failed for their refusals."""
    root = model(service, "root", kind="base-model")
    tuned = model(service, "tuned", parents=(root,))
    service.record(right=190, refuses=40)
    verdict = await service.verdict(await service.evaluated("first", model=tuned, base=root), "first")
    assert verdict.outcome == pb.Verdict.FAIL
    return root, tuned


async def standing(service: Service, weights: str) -> list[str]:
    request = pb.ListFailuresRequest(parent="namespaces/other", model=weights)
    return list((await service.stub.ListFailures(request)).failures)


async def test_refused_weights_evaluated_against_themselves_pass_and_leave_the_fail_unanswered(
    service: Service,
) -> None:
    _, tuned = await failing(service)
    service.record(right=190, refuses=120)
    verdict = await service.verdict(await service.evaluated("again", model=tuned, base=tuned, **REFUSAL_ONLY), "again")
    predicate = signed(service, verdict)
    assert verdict.outcome == pb.Verdict.PASS
    assert predicate.unanswered
    assert set(predicate.base.weight_files) == set(predicate.weight_files)
    assert await standing(service, tuned)


async def test_a_fail_follows_the_weight_files_of_an_import_under_another_name(service: Service) -> None:
    _, tuned = await failing(service)
    imported = model(service, "imported", content="tuned", kind="base-model")
    assert imported != tuned
    assert "namespaces/test/verdicts/first said FAIL" in (await standing(service, imported))[0]


async def test_a_fail_follows_them_beside_other_files(service: Service) -> None:
    await failing(service)
    folder = service.root / "made" / "padded"
    folder.mkdir(parents=True)
    (folder / "model-00001.safetensors").write_text("tuned")
    (folder / "model-00002.safetensors").write_text("padding")
    assert await standing(service, service.artifacts.publish(folder, kind="base-model", producer="test"))


def sharded(service: Service, name: str, *shards: str, parents: tuple[str, ...] = (), kind: str = "model") -> str:
    folder = service.root / "made" / name
    folder.mkdir(parents=True)
    for number, shard in enumerate(shards):
        (folder / f"model-{number}.safetensors").write_text(shard)
    (folder / "config.json").write_text(name)
    return service.artifacts.publish(folder, kind=kind, producer="test", parents=parents)


async def test_a_shard_that_tuning_left_alone_denies_no_other_model_whatever_the_base_was(service: Service) -> None:
    root = sharded(service, "root", "untouched", "first", kind="base-model")
    weak = model(service, "weak", kind="base-model")
    tuned = sharded(service, "tuned", "untouched", "bad", parents=(root,))
    good = sharded(service, "good", "untouched", "good", parents=(root,))
    service.record(right=190, refuses=40)
    verdict = await service.verdict(await service.evaluated("first", model=tuned, base=weak), "first")
    assert verdict.outcome == pb.Verdict.FAIL

    async def against(weights: str) -> list[str]:
        request = pb.ListFailuresRequest(parent="namespaces/test", model=weights)
        return list((await service.stub.ListFailures(request)).failures)

    assert [bool(await against(one)) for one in (tuned, good, root)] == [True, False, False]


async def test_what_the_root_had_before_is_not_held_against_it(service: Service) -> None:
    root, _ = await failing(service)
    assert await standing(service, root) == []


async def test_a_model_tuned_from_an_import_of_refused_weights_has_a_base_that_a_run_made(service: Service) -> None:
    await failing(service)
    imported = model(service, "imported", content="tuned", kind="base-model")
    twin = model(service, "twin", parents=(imported,))
    service.record(right=190, refuses=120)
    predicate = signed(
        service, await service.verdict(await service.evaluated("twin", model=twin, base=imported), "twin")
    )
    assert predicate.base.made_here
    assert predicate.base.lineage == "ROOT"


async def test_a_model_tuned_from_refused_weights_names_them_without_a_pass(service: Service) -> None:
    root, tuned = await failing(service)
    child = model(service, "child", parents=(tuned,))
    service.record(right=190, refuses=120)
    predicate = signed(
        service, await service.verdict(await service.evaluated("child", model=child, base=root), "child")
    )
    assert [(one.model, one.verdict) for one in predicate.derived] == [(tuned, "")]
    assert predicate.base.lineage == "ROOT"


async def test_a_base_that_the_weights_do_not_come_from_is_signed_as_such(service: Service) -> None:
    root = model(service, "root", kind="base-model")
    weak = model(service, "weak", kind="base-model")
    tuned = model(service, "tuned", parents=(root,))
    service.record(right=190, refuses=120)
    predicate = signed(service, await service.verdict(await service.evaluated("weak", model=tuned, base=weak), "weak"))
    assert predicate.base.lineage == "OTHER"
    assert not predicate.base.made_here


async def test_a_pass_under_the_same_policy_answers_a_fail_and_one_under_a_looser_does_not(service: Service) -> None:
    root, tuned = await failing(service)
    service.record(right=190, refuses=120)
    looser = policy(service.root)["gates"][:2]
    await service.verdict(await service.evaluated("looser", model=tuned, base=root, gates=looser), "looser")
    assert await standing(service, tuned)
    passing = await service.verdict(await service.evaluated("same", model=tuned, base=root), "same")
    assert passing.outcome == pb.Verdict.PASS
    assert signed(service, passing).unanswered == ()
    assert await standing(service, tuned) == []


async def test_each_evaluation_is_a_try_whether_its_scores_were_liked_or_not(service: Service) -> None:
    root = model(service, "root", kind="base-model")
    service.record(right=190, refuses=120)
    numbers = []
    for name in ("one", "two", "three"):
        tuned = model(service, name, parents=(root,))
        evaluation = await service.evaluated(name, model=tuned, base=root)
        if name == "two":
            continue  # looked at, and never brought to a verdict
        numbers.append(signed(service, await service.verdict(evaluation, name)).tries["mcq"])
    assert [(one.number, one.confidence) for one in numbers] == [(1, 0.95), (3, 0.9875)]
    assert "try 3" in numbers[1].note


async def test_asking_what_a_verdict_would_be_gives_no_free_try(service: Service) -> None:
    root = model(service, "root", kind="base-model")
    service.record(right=190, refuses=120)
    for name in ("one", "two"):
        evaluation = await service.evaluated(name, model=model(service, name, parents=(root,)), base=root)
        asked = await service.verdict(evaluation, name, validate_only=True)
    assert any("try 2" in text for text in asked.tries)
    assert signed(service, await service.verdict(evaluation, "two")).tries["mcq"].number == 2


def install(root: Path, **requirements: Any) -> None:
    release.install(root, **requirements)


async def submitted(service: Service, **changes: Any) -> None:
    request = service.request("check", **changes)
    request.validate_only = True
    request.spec.model_name = "labels"
    await service.stub.CreateEvaluation(request)


WANTS: dict[str, Any] = {
    "suites": [
        {
            "kind": "REFUSAL",
            "minTokens": 32,
            "gates": [{"kind": "refusal", "demands": {"maxDrop": 0.1}, "minItems": 117}],
        },
        {"gates": [{"kind": "accuracy", "demands": {"atLeast": 0.8}}]},
    ],
    "gates": [{"kind": "parity", "demands": {"maxKl": 0.01}}],
}


async def test_a_spec_that_can_give_what_the_policy_wants_is_admitted(service: Service) -> None:
    install(service.root, name="development", **WANTS)
    await submitted(service)


async def test_the_classifier_that_ships_decides_refusals_under_the_policy_development_alone(service: Service) -> None:
    install(service.root, **WANTS)
    with pytest.raises(InvalidInput, match="the classifier that ships, which counts under the policy development"):
        await submitted(service)
    service.record(right=190, refuses=120)
    verdict = await service.verdict(await service.evaluated("first"), "first")
    assert verdict.outcome == pb.Verdict.PASS
    assert any("the classifier that ships" in gap for gap in verdict.policy_gaps)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"gates": [{"suite": "mcq", "atLeast": 0.0}]}, "accuracy on a suite .* atLeast 0 only"),
        ({"gates": [{"suite": "mcq", "atLeast": 0.9}]}, "refusal on a suite"),
        ({"parity": {"maxKl": 1000.0}}, "wants parity .maxKl 0.01.*maxKl 1000"),
        ({"confidence": 0.6}, "must be decided at 95.0% confidence"),
    ],
)
async def test_a_spec_that_cannot_is_refused_at_submission(
    service: Service, changes: dict[str, Any], says: str
) -> None:
    install(service.root, **WANTS)
    with pytest.raises(InvalidInput, match=says):
        await submitted(service, **changes)


async def test_too_little_room_for_an_answer_is_refused_at_submission(service: Service) -> None:
    install(service.root, **WANTS)
    suites = policy(service.root)["suites"]
    suites[1]["maxTokens"] = 1
    with pytest.raises(InvalidInput, match="no suite of kind REFUSAL"):
        await submitted(service, suites=suites)


async def test_without_a_policy_nothing_that_would_serve_is_admitted(service: Service) -> None:
    with pytest.raises(InvalidInput, match="no release policy"):
        await submitted(service)


async def test_a_verdict_says_what_the_policy_wants_and_it_does_not_show(service: Service) -> None:
    service.record(right=190, refuses=120)
    evaluation = await service.evaluated("first")
    assert "no release policy" in (await service.verdict(evaluation, "first")).policy_gaps[0]
    signer = Signer.load_or_create(service.root / "keys" / "release-policy.key")
    spec = release.policy_spec(**WANTS)
    (service.root / document.FILE).write_bytes(canonical_json(document.sign("strict", spec, signer)))
    shown = await service.stub.GetVerdict(pb.GetVerdictRequest(name="namespaces/test/verdicts/first"))
    assert shown.policy == "strict"
    assert any("gates compare with a root" in gap for gap in shown.policy_gaps)


async def test_a_submission_says_which_try_it_would_be_and_at_what_price(service: Service) -> None:
    install(service.root, name="development", **WANTS)
    root = model(service, "root", kind="base-model")
    service.record(right=190, refuses=120)

    async def price(model_name: str = "labels", base: str = root) -> str:
        request = service.request("check", model=root, base=base or root)
        request.validate_only, request.spec.model_name, request.spec.base_model = True, model_name, base
        checked = await service.stub.CreateEvaluation(request)
        return next(text for text in checked.tries if text.startswith("mcq"))

    assert await price() == "mcq, by labels: try 1, decided at 95.0% confidence"
    for number in range(1, 5):
        request = service.request(f"e{number}", model=model(service, f"t{number}", parents=(root,)), base=root)
        request.spec.model_name = "labels"
        await service.evaluated_again(request)
        assert f"try {number + 1}, decided at" in await price()
    assert "times the items of a first try" in await price()
    assert "a fresh suite is the cheaper way" in await price()
    assert "try 1," in await price("another")
    assert "try 1," in await price(base=model(service, "other", kind="base-model"))
    # Of a base that nobody imported yet the root is not known: nothing looks cheaper than it may be.
    assert "try 5," in await price(base="")


async def test_failed_weights_are_told_by_files_that_their_base_does_not_have(service: Service) -> None:
    root, tuned = await failing(service)
    (failure,) = (await service.stub.ListFailedWeights(pb.ListFailedWeightsRequest())).failures
    weights = {name: service.artifacts.manifest(name).file("model.safetensors").sha256 for name in (root, tuned)}
    assert (failure.model, list(failure.weight_files)) == (tuned, [weights[tuned]])


REVIEW = {"maxErrorRate": 0.02, "reviewerKinds": ["pharmacist"], "reviewers": 2, "minRated": 100}


@pytest.mark.parametrize(
    ("planned", "says"),
    [
        ([], "the spec has none"),
        ([("PREFERENCES", 200, 0.95, 2)], "the spec has none"),
        ([("DATASET", 200, 0.95, 1)], "1 reviewer.s. of each item, 2 are asked"),
        ([("DATASET", 200, 0.9, 2)], "90.0% confidence, 95.0% is asked"),
        ([("DATASET", 99, 0.95, 2)], "99 items are rated, 100 are asked"),
        ([("DATASET", 120, 0.95, 2)], "120 items without an error prove under 2.47% only; take 150 or more"),
        ([("DATASET", 200, 0.95, 2)], ""),
        ([("DATASET", 0, 0.95, 2)], ""),  # a share
    ],
)
async def test_a_review_that_cannot_show_what_the_policy_wants_is_refused_at_submission(
    service: Service, planned: list[tuple[str, int, float, int]], says: str
) -> None:
    install(service.root, name="development", reviews=[REVIEW], **WANTS)
    request = service.request("check")
    request.validate_only, request.spec.model_name = True, "labels"
    reviews = [pb.PlannedReview(of=o, sample=n, confidence=c, reviewers=r) for o, n, c, r in planned]
    request.planned_reviews.CopyFrom(pb.PlannedReviews(reviews=reviews))
    if not says:
        await service.stub.CreateEvaluation(request)
        return
    with pytest.raises(InvalidInput, match=says) as refused:
        await service.stub.CreateEvaluation(request)
    assert [violation.field for violation in refused.value.violations] == ["spec.curation.review"]
