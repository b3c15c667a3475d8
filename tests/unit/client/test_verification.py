"""A verdict is believed when everything behind it holds; each way of tampering fails its own check."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.signed_world import World, build, forge, spoil

from posology.client import envelopes
from posology.client.verification import TrustedKeys, Verification, find, verify
from posology.core.errors import InvalidInput, NotFound
from posology.core.signing import Signer


@pytest.fixture
def world(tmp_path: Path) -> World:
    return build(tmp_path)


def checked(world: World, digest: str) -> Verification:
    return verify(find(digest, world.stored), world.stored, world.keyring)


def failed(found: Verification) -> dict[str, str]:
    """What failed, by subject and name, with the reason."""
    return {f"{check.subject}: {check.name}": check.said for check in found.checks if not check.ok}


def test_a_genuine_pass_holds_in_every_point(world: World) -> None:
    found = checked(world, world.seal())
    assert failed(found) == {}
    assert found.ok
    assert (found.outcome, found.model, found.run) == ("PASS", world.model, "namespaces/default/fineTuneRuns/micro")
    subjects = {check.subject for check in found.checks}
    assert subjects == {"signature", "statement", "artifact", "lineage", "engine", "gates", "outcome"}


def test_who_reviewed_is_said(world: World) -> None:
    found = checked(world, world.seal())
    assert any("automated stand-in, not an expert" in check.said for check in found.checks)


def test_a_verdict_is_found_by_its_run_its_weights_and_its_file(world: World, tmp_path: Path) -> None:
    digest = world.seal()
    for target in (digest, world.model, "micro", "namespaces/default/fineTuneRuns/micro"):
        assert find(target, world.stored).origin == digest
    file = tmp_path / "copy.json"
    file.write_bytes(world.stored.read(digest, "verdict.dsse.json"))
    assert verify(find(str(file), world.stored), world.stored, world.keyring).ok


def test_the_newest_verdict_of_a_run_is_taken(world: World) -> None:
    world.seal(outcome="FAIL")
    newest = world.seal()
    assert find("micro", world.stored).origin == newest


def test_what_is_no_verdict_is_said_to_be_none(world: World, tmp_path: Path) -> None:
    world.seal()
    with pytest.raises(NotFound, match="no file, no verdict's digest"):
        find("unknown", world.stored)
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(InvalidInput, match="is no JSON"):
        find(str(tmp_path / "note.txt"), world.stored)


def test_nothing_of_an_altered_verdict_is_believed(world: World, tmp_path: Path) -> None:
    envelope = world.stored.json(world.seal(outcome="FAIL"), "verdict.dsse.json")
    forge(envelope, lambda body: body["predicate"].update(outcome="PASS"))
    file = tmp_path / "forged.json"
    file.write_text(json.dumps(envelope))
    found = verify(find(str(file), world.stored), world.stored, world.keyring)
    assert list(failed(found)) == ["signature: verdict"]
    assert "altered" in failed(found)["signature: verdict"]
    assert (len(found.checks), found.outcome) == (1, "")


def test_a_key_from_elsewhere_is_not_trusted(world: World, tmp_path: Path) -> None:
    digest = world.seal()
    other = tmp_path / "other"
    Signer.load_or_create(other / "evaluation.key")
    found = verify(find(digest, world.stored), world.stored, TrustedKeys.load(other))
    assert "not trusted here" in failed(found)["signature: verdict"]
    with pytest.raises(InvalidInput, match="no public keys"):
        TrustedKeys.load(tmp_path / "nowhere")


def test_another_service_of_ours_may_not_sign_a_verdict(world: World) -> None:
    found = checked(world, world.seal(by="training"))
    assert "not trusted here" in failed(found)["signature: verdict"]


def test_keys_may_have_any_names_in_an_auditors_folder(world: World, tmp_path: Path) -> None:
    digest = world.seal()
    folder = tmp_path / "mine"
    folder.mkdir()
    for number, key in enumerate(sorted(world.keys.glob("*.pub"))):
        shutil.copy(key, folder / f"key{number}.pub")
    assert verify(find(digest, world.stored), world.stored, TrustedKeys.load(folder)).ok


def test_a_changed_weight_is_found_by_its_file(world: World) -> None:
    digest = world.seal()
    spoil(world.stored, world.model, "model.safetensors")
    found = failed(checked(world, digest))
    assert list(found) == ["artifact: model (the subject)"]
    assert "model.safetensors was altered" in found["artifact: model (the subject)"]


def test_changed_training_data_is_found(world: World) -> None:
    digest = world.seal()
    spoil(world.stored, world.predicate["dataset"], "train.jsonl")
    assert "train.jsonl" in failed(checked(world, digest))["artifact: dataset"]


def test_weights_that_are_gone_are_no_evidence(world: World) -> None:
    digest = world.seal()
    world.store.delete(world.model)
    found = failed(checked(world, digest))
    assert "is not in" in found["artifact: model (the subject)"]
    assert "lineage: weights" in found


def test_an_altered_review_inside_a_genuine_verdict_is_found(world: World) -> None:
    def fewer_errors(body: dict[str, Any]) -> None:
        body["predicate"]["errors"] = 7

    statements = world.carried(0, lambda envelope: forge(envelope, fewer_errors))
    found = failed(checked(world, world.seal(statements=statements)))
    assert len(found) == 1
    assert "altered after signing" in next(iter(found.values()))


def test_a_statement_with_another_digest_is_found(world: World) -> None:
    statements = copy.deepcopy(world.predicate["statements"])
    statements[1]["digest"] = statements[2]["digest"]
    found = failed(checked(world, world.seal(statements=statements)))
    assert found == {"statement: provenance of sft": "its digest is not the one that the verdict names"}


def test_a_review_of_something_else_vouches_for_nothing(world: World) -> None:
    other = world.publish({"train.jsonl": "{}"}, kind="dataset")
    envelope = copy.deepcopy(world.predicate["statements"][0]["envelope"])
    forge(envelope, lambda body: body["subject"][0]["digest"].update(sha256=other.removeprefix("sha256:")))
    statement = envelopes.payload(envelope)

    def signed_anew(old: dict[str, Any]) -> None:
        old.update(world.signers["curation"].sign(statement))

    found = failed(checked(world, world.seal(statements=world.carried(0, signed_anew))))
    assert "from which these weights were not made" in next(iter(found.values()))


def test_a_lineage_that_the_manifests_do_not_bear_out_is_found(world: World) -> None:
    other = world.publish({"train.jsonl": "{}"}, kind="dataset")
    found = failed(checked(world, world.seal(dataset=other)))
    assert other in found["lineage: weights"]


def test_another_engine_than_the_one_observed_is_found(world: World) -> None:
    found = failed(checked(world, world.seal(engine={**world.predicate["engine"], "dtype": "bfloat16"})))
    assert "dtype is" in found["engine: configuration"]


def test_another_template_than_that_of_the_weights_is_found(world: World) -> None:
    engine = {**world.predicate["engine"], "chat_template": "sha256:" + "0" * 64}
    assert "engine: chat template" in failed(checked(world, world.seal(engine=engine)))


def test_other_questions_are_found(world: World) -> None:
    found = failed(checked(world, world.seal(suites={"everyday": "sha256:" + "0" * 64})))
    assert "the questions of everyday" in found["lineage: suites"]


def test_a_better_number_than_the_items_give_is_found(world: World) -> None:
    gates = copy.deepcopy(world.predicate["gates"])
    gates[0]["estimate"] = 0.999
    found = failed(checked(world, world.seal(gates=gates)))
    assert "estimate was signed as 0.999" in found["gates: computed anew"]


def test_a_pass_over_a_failed_gate_is_found(world: World) -> None:
    gates = copy.deepcopy(world.predicate["gates"])
    gates[0]["outcome"] = "FAIL"
    found = failed(checked(world, world.seal(gates=gates)))
    assert "its gates say FAIL" in found["outcome: follows from the gates"]


def test_a_genuine_fail_releases_nothing(world: World) -> None:
    strict = copy.deepcopy(world.predicate["policy"])
    strict["gates"][0]["atLeast"] = 0.999
    from posology.evaluation import convert, gates, items

    artifact = world.predicate["evaluation"]["artifact"]
    policy = convert.policy_from_spec({"evaluation": strict}, world.predicate["suites"])
    evidence = items.evidence(
        world.stored.rows(artifact, "items.jsonl"), world.stored.json(artifact, "parity.json"), policy
    )
    results = [convert.gate_to_json(result) for result in gates.decide(policy, evidence)]
    found = checked(world, world.seal(policy=strict, gates=results, outcome="FAIL"))
    assert failed(found) == {
        "outcome: releases the weights": "the verdict is genuine and says FAIL; only PASS releases"
    }
    assert not found.ok


def test_a_verdict_without_what_belongs_in_it_fails_and_does_not_crash(world: World) -> None:
    found = checked(world, world.seal(engine={}, evaluation={}, suites={}, gates=[]))
    assert not found.ok
    assert "engine: configuration" in failed(found)
