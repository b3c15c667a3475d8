"""Attacks with evidence of other data: a review counts for what the weights learnt from, whoever names what."""

import json
from typing import Any

import pytest
from service.evaluation.evaluation_service import Service
from service.evaluation.test_a_fail_follows_weights import model, signed
from support import release

from posology.core.attestations import review as review_statement
from posology.core.attestations.review import ReviewPredicate
from posology.core.attestations.verdict import VerdictPredicate
from posology.core.release.check import findings, gaps

REQUIRED: dict[str, Any] = {"reviews": [{"maxErrorRate": 0.02}]}


def artifact(service: Service, kind: str, name: str, *parents: str) -> str:
    folder = service.root / "made" / name
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text(name)
    return service.artifacts.publish(folder, kind=kind, producer="test", parents=parents)


def review(of: str) -> ReviewPredicate:
    numbers = {"rated": 200, "errors": 0, "upper_bound": 0.0149, "reviewer_kinds": ["expert"]}
    policy = {"reviewers": 1, "confidence": 0.95, "max_error_rate": 0.02}
    return ReviewPredicate("PASS", "sha256:" + "6" * 64, of, {}, policy, numbers)


async def issued(service: Service, tuned: str, root: str, *lineage: str) -> VerdictPredicate:
    service.record(right=190, refuses=120)
    evaluation = await service.evaluated("e", model=tuned, base=root)
    return signed(service, await service.verdict(evaluation, "v", lineage=list(lineage)))


def missing(verdict: VerdictPredicate, *reviewed: str) -> list[str]:
    lines = findings(release.policy(**REQUIRED), verdict, reviews=[review(one) for one in reviewed])
    return [one for one in gaps(lines) if one.startswith("a review of")]


async def test_data_that_the_weights_never_read_is_none_of_their_lineage(service: Service) -> None:
    good, bad = (artifact(service, "dataset", name) for name in ("good", "bad"))
    root = model(service, "root-model", kind="base-model")
    tuned = model(service, "tuned", parents=(root, artifact(service, "adapter", "adapter", root, bad)))
    verdict = await issued(service, tuned, root, good)
    assert missing(verdict, good)
    assert good not in verdict.lineage.get("dataset", ())


async def test_data_that_nobody_names_are_told_by_the_weights(service: Service) -> None:
    root = model(service, "root-model", kind="base-model")
    bad = artifact(service, "dataset", "bad")
    tuned = model(service, "tuned", parents=(root, artifact(service, "adapter", "adapter", root, bad)))
    verdict = await issued(service, tuned, root)
    assert verdict.dataset == bad
    assert verdict.learnt == {"dataset": (bad,)}


async def test_a_set_that_was_changed_after_its_review_needs_one_of_its_own(service: Service) -> None:
    root = model(service, "root-model", kind="base-model")
    reviewed = artifact(service, "dataset", "reviewed", artifact(service, "dataset", "drafted"))
    changed = artifact(service, "dataset", "changed", reviewed)
    tuned = model(service, "tuned", parents=(root, artifact(service, "adapter", "adapter", root, changed)))
    verdict = await issued(service, tuned, root, reviewed, changed)
    assert missing(verdict, reviewed)
    assert not missing(verdict, changed)


async def test_one_reviewed_set_of_two_is_half(service: Service) -> None:
    root = model(service, "root-model", kind="base-model")
    one, two = artifact(service, "dataset", "one"), artifact(service, "dataset", "two")
    tuned = model(service, "tuned", parents=(root, artifact(service, "adapter", "adapter", root, one, two)))
    verdict = await issued(service, tuned, root, one, two)
    assert missing(verdict, one)
    assert not missing(verdict, one, two)


async def test_what_a_released_base_learnt_is_its_own_verdicts_matter(service: Service) -> None:
    root = model(service, "root-model", kind="base-model")
    old, new = artifact(service, "dataset", "old"), artifact(service, "dataset", "new")
    before = model(service, "before", parents=(root, artifact(service, "adapter", "first", root, old)))
    tuned = model(service, "tuned", parents=(before, artifact(service, "adapter", "second", before, new)))
    verdict = await issued(service, tuned, root, old, new)
    assert verdict.learnt == {"dataset": (new,)}
    assert not missing(verdict, new)


async def test_preferences_are_held_as_data_are(service: Service) -> None:
    root = model(service, "root-model", kind="base-model")
    data = artifact(service, "dataset", "data")
    good, bad = (artifact(service, "preferences", name, data) for name in ("good", "bad"))
    sft = artifact(service, "adapter", "sft", root, data)
    tuned = model(service, "tuned", parents=(root, artifact(service, "adapter", "dpo", root, sft, bad)))
    verdict = await issued(service, tuned, root, data, good)
    assert verdict.learnt == {"dataset": (data,), "preferences": (bad,)}
    assert good not in verdict.lineage["preferences"]


@pytest.mark.parametrize("lineage", [{}, {"dataset": ["sha256:" + "7" * 64]}])
def test_a_verdict_from_before_says_what_it_always_said(lineage: dict[str, list[str]]) -> None:
    old = release.proven(lineage=lineage)
    assert VerdictPredicate.from_json(json.loads(json.dumps(old))).learnt == {}
    assert "learnt" not in VerdictPredicate.from_json(old).to_json()
    assert review_statement.PREDICATE_TYPE.endswith("review/v1")
