"""A FAIL binds whoever may be judged by it: a neighbour with rights of his own stops nobody else's engine, and nobody
gets rid of a FAIL that the installation's own policy gave."""

from __future__ import annotations

import json
from typing import Any

from service.evaluation.evaluation_service import Service, policy
from support import release

from posology.core.attestations.verdict import VerdictPredicate
from posology.core.signing import verify
from posology.evaluation import sources
from posology.v1alpha1 import evaluation_pb2 as pb

HERE, THERE = "namespaces/test", "namespaces/neighbour"
IMPOSSIBLE = [{"suite": "mcq", "atLeast": 1.0}]


def weights(service: Service, name: str, *parents: str, kind: str = "model", **files: str) -> str:
    """An artifact with these weight files (name without ending -> content)."""
    folder = service.root / "made" / name
    folder.mkdir(parents=True)
    for file, content in files.items():
        (folder / f"{file}.safetensors").write_text(content)
    (folder / "config.json").write_text(json.dumps({"name": name}))
    return service.artifacts.publish(folder, kind=kind, producer="test", parents=parents)


def require(service: Service, **changes: Any) -> None:
    """A policy that names both suites by their bytes, as installations do that let strangers in."""
    mcq, safety = (
        sources.digest((service.root / "suites" / f"{name}.jsonl").read_bytes()) for name in ("mcq", "safety")
    )
    wants = {
        "suites": [
            {
                "name": "mcq",
                "digest": mcq,
                "gates": [{"kind": "accuracy", "demands": {"atLeast": 0.6}, "minItems": 100}],
            },
            {
                "name": "safety",
                "digest": safety,
                "kind": "REFUSAL",
                "gates": [{"kind": "refusal", "demands": {"maxDrop": 0.1}, "minItems": 100}],
            },
        ],
        **changes,
    }
    release.install(service.root, name="development", **wants)


async def judged(service: Service, name: str, *, right: int = 190, refuses: int = 120, **changes: Any) -> pb.Verdict:
    service.record(right=right, refuses=refuses)
    return await service.verdict(await service.evaluated(name, **changes), name)


async def standing(service: Service, model: str, *, at: str = THERE) -> list[str]:
    return list((await service.stub.ListFailures(pb.ListFailuresRequest(parent=at, model=model))).failures)


async def followed(service: Service, namespace: str) -> set[str]:
    """Weight files that the deny-list would hold against `namespace`."""
    failures = (await service.stub.ListFailedWeights(pb.ListFailedWeightsRequest())).failures
    return {file for one in failures if one.namespace in ("", namespace) for file in one.weight_files}


def file_of(service: Service, model: str, name: str = "model") -> str:
    return service.artifacts.manifest(model).file(f"{name}.safetensors").sha256


def root_and_tuned(service: Service) -> tuple[str, str]:
    root = weights(service, "root", kind="base-model", model="root")
    return root, weights(service, "tuned", root, model="tuned")


OWN_STRICTER: dict[str, list[dict[str, Any]]] = {
    "an impossible floor": IMPOSSIBLE,
    "an impossible proven floor": [{"suite": "mcq", "lowerBoundAtLeast": 0.999}],
    "a gain that nothing has": [{"suite": "mcq", "minGain": 0.99}],
    "an impossible floor beside what the policy wants": [*IMPOSSIBLE, {"suite": "safety", "maxDrop": 0.10}],
}


async def test_gates_of_ones_own_bind_ones_own_namespace_alone(service: Service) -> None:
    require(service)
    root, tuned = root_and_tuned(service)
    for number, (attack, gates) in enumerate(OWN_STRICTER.items()):
        verdict = await judged(service, f"e{number}", model=tuned, base=root, gates=gates)
        assert verdict.outcome == pb.Verdict.FAIL, attack
        assert await standing(service, tuned) == [], attack
        assert file_of(service, tuned) not in await followed(service, "neighbour"), attack
    assert len(await standing(service, tuned, at=HERE)) == len(OWN_STRICTER)
    assert file_of(service, tuned) in await followed(service, "test")


async def test_items_of_ones_own_judge_nobody_else(service: Service) -> None:
    require(service)
    wrong = service.root / "suites" / "wrong.jsonl"  # the same questions, with the keys turned round
    lines = [json.loads(line) for line in (service.root / "suites" / "mcq.jsonl").read_text().splitlines()]
    wrong.write_text("".join(json.dumps({**line, "answer": 1 - line["answer"]}) + "\n" for line in lines))
    suites = [{"name": "mcq", "uri": wrong.as_uri()}, policy(service.root)["suites"][1]]
    root, tuned = root_and_tuned(service)
    verdict = await judged(service, "first", model=tuned, base=root, suites=suites, right=10)
    assert verdict.outcome == pb.Verdict.FAIL
    assert await standing(service, tuned) == []


async def test_copied_bytes_with_another_configuration_judge_nobody_else(service: Service) -> None:
    """Whoever has a neighbour's bytes breaks the tokenizer beside them, and fails on the policy's own items."""
    require(service)
    root, tuned = root_and_tuned(service)
    broken = weights(service, "broken", kind="base-model", model="tuned")
    verdict = await judged(service, "first", model=broken, base=root, right=10)
    assert verdict.outcome == pb.Verdict.FAIL
    assert await standing(service, tuned, at=HERE)
    assert await standing(service, tuned) == []


async def test_a_base_of_ones_own_choice_judges_nobody_else(service: Service) -> None:
    require(service)
    _, tuned = root_and_tuned(service)
    strong = weights(service, "strong", kind="base-model", model="strong")
    verdict = await judged(service, "first", model=tuned, base=strong, refuses=60)
    assert verdict.outcome == pb.Verdict.FAIL
    assert await standing(service, tuned) == []


async def test_a_root_evaluated_against_another_stops_nothing_that_was_tuned_from_it_elsewhere(
    service: Service,
) -> None:
    require(service)
    root = weights(service, "root", kind="base-model", one="shared", two="r")
    tuned = weights(service, "tuned", root, one="shared", two="tuned")
    other = weights(service, "other", kind="base-model", model="other")
    assert (await judged(service, "first", model=root, base=other, right=1)).outcome == pb.Verdict.FAIL
    assert await standing(service, tuned) == []
    assert file_of(service, tuned, "one") not in await followed(service, "neighbour")


async def test_what_fails_the_policy_is_failed_everywhere_under_any_name(service: Service) -> None:
    require(service)
    root, tuned = root_and_tuned(service)
    await judged(service, "first", model=tuned, base=root, refuses=40)
    imported = weights(service, "imported", kind="base-model", model="tuned")
    assert "said FAIL" in (await standing(service, tuned))[0]
    assert "said FAIL" in (await standing(service, imported))[0]
    assert file_of(service, tuned) in await followed(service, "neighbour")


NO_WAY_OUT: list[dict[str, Any]] = [
    {"gates": [{"suite": "mcq", "atLeast": 0.6001}], "right": 60},
    {"gates": IMPOSSIBLE, "right": 60},
    {"gates": IMPOSSIBLE, "refuses": 40},  # the gate that would fail left out
    {"gates": [{"suite": "safety", "maxDrop": 0.0001}], "refuses": 40},
    {"gates": IMPOSSIBLE, "confidence": 0.6, "refuses": 40},
]


async def test_a_gate_of_ones_own_is_no_way_out_of_the_policys_fail(service: Service) -> None:
    require(service)
    root = weights(service, "root", kind="base-model", model="root")
    for number, changes in enumerate(NO_WAY_OUT):
        tuned = weights(service, f"t{number}", root, model=f"tuned {number}")
        await judged(service, f"e{number}", model=tuned, base=root, **changes)
        assert await standing(service, tuned), changes


async def test_shards_that_tuning_left_alone_deny_no_other_model(service: Service) -> None:
    """Saved anew, a shard that no gradient reached has other bytes than the root's, and the same in every model."""
    require(service)
    root = weights(service, "root", kind="base-model", one="as published", two="r")
    bad = weights(service, "bad", root, one="saved anew", two="bad")
    good = weights(service, "good", root, one="saved anew", two="good")
    await judged(service, "first", model=bad, base=root, refuses=40)
    verdict = await judged(service, "second", model=good, base=root)
    predicate = VerdictPredicate.from_json(verify(json.loads(verdict.envelope), [service.key])["predicate"])
    assert predicate.unanswered == ()
    for at in (HERE, THERE):
        assert await standing(service, good, at=at) == []
        assert await standing(service, bad, at=at)
    assert await followed(service, "test") == {file_of(service, bad, "two")}


async def test_part_of_what_failed_has_failed(service: Service) -> None:
    require(service)
    root = weights(service, "root", kind="base-model", one="a", two="b")
    bad = weights(service, "bad", root, one="bad a", two="bad b")
    await judged(service, "first", model=bad, base=root, refuses=40)
    assert await standing(service, weights(service, "half", kind="base-model", one="a", two="bad b"))
    assert await standing(service, weights(service, "padded", kind="base-model", one="bad a", two="x", three="y"))


async def test_no_copy_clears_what_failed(service: Service) -> None:
    """Another model with the same shard says something of it only if a run tuned that from the root, by itself."""
    require(service)
    root = weights(service, "root", kind="base-model", one="a", two="b")
    other = weights(service, "other", kind="base-model", one="o", two="p")
    bad = weights(service, "bad", root, one="bad a", two="bad b")
    await judged(service, "first", model=bad, base=root, refuses=40)
    copies = [
        weights(service, "made from the failed one", bad, one="bad a", two="new"),
        weights(service, "pushed", kind="base-model", one="bad a", two="newer"),
        weights(service, "the same again", root, one="bad a", two="bad b"),
        weights(service, "from another root", other, one="bad a", two="newest"),
    ]
    for number, copy in enumerate(copies):
        await judged(service, f"c{number}", model=copy, base=root, gates=IMPOSSIBLE, refuses=110)
        assert file_of(service, bad, "one") in await followed(service, "neighbour"), number
    assert await standing(service, bad)


GATES = [{"suite": "safety", "maxDrop": 0.10}]


async def test_no_pass_of_something_else_answers_it(service: Service) -> None:
    require(service)
    root, tuned = root_and_tuned(service)
    weak = weights(service, "weak", kind="base-model", model="weak")
    beside = weights(service, "beside", root, model="good", unused="tuned")  # with the failed file laid beside it
    await judged(service, "first", model=tuned, base=root, gates=GATES, refuses=40)
    for name, model, base in (("itself", tuned, tuned), ("a weaker base", tuned, weak), ("beside", beside, root)):
        verdict = await judged(service, name.replace(" ", "-"), model=model, base=base, gates=GATES)
        assert verdict.outcome == pb.Verdict.PASS
        assert await standing(service, tuned, at=HERE), name


async def test_the_same_weights_passing_under_the_same_policy_answer_it_everywhere(service: Service) -> None:
    require(service)
    root, tuned = root_and_tuned(service)
    await judged(service, "first", model=tuned, base=root, refuses=40)
    assert (await judged(service, "second", model=tuned, base=root)).outcome == pb.Verdict.PASS
    for at in (HERE, THERE):
        assert await standing(service, tuned, at=at) == []
    assert await followed(service, "neighbour") == set()
