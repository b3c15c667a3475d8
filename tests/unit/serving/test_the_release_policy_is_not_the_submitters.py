"""A genuine PASS releases only what the installation's policy asks for; each attack is refused with what it wanted."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import release

from posology.core.attestations import review as review_statement
from posology.core.attestations.verdict import PREDICATE_TYPE, VerdictPredicate
from posology.core.canonical import canonical_digest
from posology.core.release import document
from posology.core.release.check import findings, gaps
from posology.core.signing import Signer, statement
from posology.engine import EngineConfig
from posology.serving import domain
from posology.serving.admission import Trust, admit
from posology.serving.verdict import Verdict

MODEL, BASE = "sha256:" + "a" * 64, "sha256:" + "d" * 64


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.load_or_create(tmp_path / "evaluation.key")


def carried(envelope: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"digest": canonical_digest(envelope), "envelope": envelope}]


def verdict(signer: Signer, model: str = MODEL, **fields: Any) -> dict[str, Any]:
    said = {**release.proven(), "engine": EngineConfig().to_dict(), "probes": [], **fields}
    return signer.sign(statement(PREDICATE_TYPE, {"model": model}, said))


def admitted(signer: Signer, fields: dict[str, Any], reviewers: Signer | None = None, **requirements: Any) -> Verdict:
    review_keys = [reviewers.public_key] if reviewers else []
    trust = Trust([signer.public_key], release.policy(**requirements), review_keys, deny_list=release.deny_list())
    envelope = verdict(signer, **fields)
    return admit(envelope, model=MODEL, engine=None, namespace="default", model_name="labels", trust=trust)


def base(**changes: Any) -> dict[str, Any]:
    return {**release.proven()["base"], **changes}


ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "compared with itself": ({"base": base(weightFiles=[release.TUNED])}, "compared with itself"),
    "itself among other files": ({"base": base(weightFiles=[release.TUNED, "1" * 64])}, "compared with itself"),
    "part of itself, pushed": (
        {"weightFiles": [release.TUNED, "2" * 64], "base": base(weightFiles=[release.TUNED], lineage="UNKNOWN")},
        "compared with itself",
    ),
    "itself under another name": ({"base": base(madeHere=True)}, "a run of this installation made its weights"),
    "another base": ({"base": base(lineage="OTHER")}, "not the root that the weights come from"),
    "pushed without an origin": ({"base": base(lineage="UNKNOWN")}, "nothing shows that the weights come from it"),
    "no base": ({"base": {}}, "names no weight files of a base"),
    "floor of zero": (
        {"gates": [release.gate(demands={"atLeast": 0.0}), release.gate("parity", "parity")]},
        "accuracy on mcq .atLeast 0.6, at least 100 items.: mcq: decided with atLeast 0 only",
    ),
    "huge maxKl": (
        {"gates": [release.gate(), release.gate("parity", "parity", demands={"maxKl": 1e9})]},
        "parity .maxKl 0.01.: parity: decided with maxKl 1e.09 only",
    ),
    "no such gate": ({"gates": [release.gate("parity", "parity")]}, "no gate of kind accuracy was decided"),
    "no gates": ({"gates": []}, "no gate of kind accuracy was decided"),
    "other items": ({"suites": {"mcq": "sha256:" + "6" * 64}}, "no suite of kind MULTIPLE_CHOICE with the digest"),
    "the items under another kind": (
        {"policy": {"suites": [{"name": "mcq", "kind": "REFUSAL"}]}},
        "no suite of kind MULTIPLE_CHOICE with the digest",
    ),
    "too few items": ({"gates": [release.gate(n=99), release.gate("parity", "parity")]}, "99 items, at least 100"),
    "low confidence": (
        {"gates": [release.gate(confidence=0.6), release.gate("parity", "parity")]},
        "must be decided at 95.0%",
    ),
    "a third try at the price of the first": (
        {"tries": {"mcq": {"number": 3, "confidence": 0.95, "note": ""}}},
        "try 3 must be decided at 98.75% confidence",
    ),
    "a try that is not counted": ({"tries": {}}, "does not say which try it was"),
    "a try numbered zero": (
        {"tries": {"mcq": {"number": 0, "confidence": 0.95, "note": ""}}},
        "does not say which try",
    ),
    "a FAIL that stands": ({"unanswered": ["v1 said FAIL"]}, "no FAIL that stands: v1 said FAIL"),
    "a derived base without a PASS": ({"derived": [{"model": BASE, "verdict": ""}]}, "a PASS of its own for the base"),
    "a verdict from before policies": (
        dict.fromkeys(()) | {"base": {}, "tries": {}, "suites": {}, "gates": [{"suite": "x", "outcome": "PASS"}]},
        "wants: ",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_pass_that_does_not_show_what_the_policy_wants_is_refused(signer: Signer, attack: str) -> None:
    fields, says = ATTACKS[attack]
    with pytest.raises(domain.PolicyNotMet, match=says):
        admitted(signer, fields)


def test_what_the_policy_wants_is_released_and_marked(signer: Signer) -> None:
    assert admitted(signer, {}).policy == "tests"


@pytest.mark.parametrize(
    "fields", [{"modelName": "other"}, {"namespace": "other"}, {"modelName": ""}, {"namespace": ""}]
)
def test_what_was_tried_under_one_name_is_not_released_under_another(signer: Signer, fields: dict[str, Any]) -> None:
    with pytest.raises(domain.OtherName, match="labels in default"):
        admitted(signer, fields)


def test_a_shard_that_tuning_left_alone_is_no_comparison_with_itself(signer: Signer) -> None:
    assert admitted(signer, {"weightFiles": [release.TUNED, release.ROOT], "base": base(weightFiles=[release.ROOT])})


def test_listed_roots_are_the_only_ones(signer: Signer) -> None:
    listed: dict[str, Any] = {"roots": {"bases": [{"name": "nano", "weightFiles": ["9" * 64]}]}}
    with pytest.raises(domain.PolicyNotMet, match="its weight files are not among them"):
        admitted(signer, {}, **listed)
    assert admitted(signer, {"base": base(weightFiles=["9" * 64], lineage="UNKNOWN")}, **listed)


def test_part_of_a_roots_files_is_not_the_root(signer: Signer) -> None:
    listed: dict[str, Any] = {"roots": {"bases": [{"name": "nano", "weightFiles": ["9" * 64, "8" * 64]}]}}
    with pytest.raises(domain.PolicyNotMet, match="not among them"):
        admitted(signer, {"base": base(weightFiles=["9" * 64])}, **listed)


def test_a_budget_of_tries_ends(signer: Signer) -> None:
    fields = {"tries": {"mcq": {"number": 4, "confidence": 1.0, "note": ""}}}
    with pytest.raises(domain.PolicyNotMet, match="try 4 must be decided"):
        admitted(signer, fields | {"gates": [release.gate(confidence=1.0), release.gate("parity", "parity")]}, tries=3)


def derived(envelope: dict[str, Any]) -> dict[str, Any]:
    return {"derived": [{"model": BASE, "verdict": "sha256:x"}], "statements": carried(envelope)}


def test_a_derived_base_with_its_own_pass_under_the_policy_is_released(signer: Signer) -> None:
    assert admitted(signer, derived(verdict(signer, model=BASE)))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"outcome": "FAIL"}, "its verdict is FAIL"),
        ({"gates": []}, "no gate of kind accuracy"),
        ({"base": base(madeHere=True)}, "a run of this installation made"),
    ],
)
def test_a_derived_base_whose_own_verdict_does_not_release_is_refused(
    signer: Signer, fields: dict[str, Any], says: str
) -> None:
    with pytest.raises(domain.PolicyNotMet, match=says):
        admitted(signer, derived(verdict(signer, model=BASE, **fields)))


def test_a_pass_of_a_derived_base_by_a_stranger_is_none(signer: Signer, tmp_path: Path) -> None:
    stranger = Signer.load_or_create(tmp_path / "stranger.key")
    with pytest.raises(domain.PolicyNotMet, match="it has none"):
        admitted(signer, derived(verdict(stranger, model=BASE)))


REVIEWED = "sha256:" + "7" * 64
REQUIRED: dict[str, Any] = {
    "reviews": [{"maxErrorRate": 0.02, "reviewerKinds": ["expert"], "reviewers": 2, "minRated": 200}]
}


def review(signer: Signer, **changes: Any) -> dict[str, Any]:
    predicate = {
        "result": "PASS",
        "subject": "sha256:" + "6" * 64,
        "artifact": REVIEWED,
        "frame": {},
        "policy": {"reviewers": 2, "confidence": 0.95},
        "rated": 200,
        "errors": 0,
        "upper_bound": 0.0149,
        "reviewer_kinds": ["expert"],
        **changes,
    }
    return signer.sign(statement(review_statement.PREDICATE_TYPE, {"reviewed": REVIEWED}, predicate))


def tried(number: int, confidence: float, *, limit: float = 0.02) -> dict[str, Any]:
    return {
        "try": {"number": number, "confidence": confidence, "note": f"try {number}"},
        "policy": {"reviewers": 2, "confidence": 0.95, "max_error_rate": limit},
    }


def reviewed(envelope: dict[str, Any]) -> dict[str, Any]:
    return {"lineage": {"dataset": [REVIEWED]}, "statements": carried(envelope)}


def test_the_review_that_is_asked_for_releases(signer: Signer, tmp_path: Path) -> None:
    curation = Signer.load_or_create(tmp_path / "curation.key")
    assert admitted(signer, reviewed(review(curation)), curation, **REQUIRED)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reviewer_kinds": ["automated stand-in, not an expert"]}, "it was made by automated stand-in"),
        ({"reviewer_kinds": ["expert", "student"]}, "it was made by student"),
        ({"reviewer_kinds": []}, "does not say by whom"),
        ({"upper_bound": 0.02}, "under 2.00% only"),
        ({"upper_bound": float("inf")}, "only"),
        ({"rated": 199}, "199 items were rated, 200 are asked"),
        ({"policy": {"reviewers": 1, "confidence": 0.95}}, "1 reviewer"),
        ({"policy": {"reviewers": 2, "confidence": 0.6}}, "60.0% confidence"),
        ({"result": "FAIL"}, "it did not pass"),
        ({"artifact": "sha256:" + "1" * 64}, "carries none"),
        (tried(2, 0.95), "try 2 must be decided at 97.5% confidence, it was at 95.0%"),
        (tried(3, 0.975), "try 3 must be decided at 98.75% confidence, it was at 97.5%"),
        (tried(0, 0.95), "try 0 must be decided"),
        (tried(1, 0.95, limit=0.5), "it was to show 50.0%, so that tries of less were not counted"),
    ],
)
def test_a_review_that_is_less_than_asked_for_is_refused(
    signer: Signer, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    if changes.get("upper_bound") == float("inf"):
        changes = {"upper_bound": 1.0}
    curation = Signer.load_or_create(tmp_path / "curation.key")
    with pytest.raises(domain.PolicyNotMet, match=says):
        admitted(signer, reviewed(review(curation, **changes)), curation, **REQUIRED)


def test_a_later_review_of_a_set_releases_at_its_price(signer: Signer, tmp_path: Path) -> None:
    curation = Signer.load_or_create(tmp_path / "curation.key")
    assert admitted(signer, reviewed(review(curation, **tried(2, 0.975))), curation, **REQUIRED)


def test_a_budget_of_reviews_ends(signer: Signer, tmp_path: Path) -> None:
    curation = Signer.load_or_create(tmp_path / "curation.key")
    budget = {"reviews": [{**REQUIRED["reviews"][0], "tries": 2}]}
    assert admitted(signer, reviewed(review(curation, **tried(2, 0.975))), curation, **budget)
    for attempt, says in ((tried(1, 0.95), "try 1 must be decided at 97.5%"), (tried(3, 0.9875), "try 3 of 2")):
        with pytest.raises(domain.PolicyNotMet, match=says):
            admitted(signer, reviewed(review(curation, **attempt)), curation, **budget)


def test_a_review_that_evaluation_signed_itself_is_none(signer: Signer, tmp_path: Path) -> None:
    curation = Signer.load_or_create(tmp_path / "curation.key")
    with pytest.raises(domain.PolicyNotMet, match="carries none"):
        admitted(signer, reviewed(review(signer)), curation, **REQUIRED)


def test_without_a_policy_nothing_is_released(tmp_path: Path) -> None:
    with pytest.raises(document.NoPolicy, match="so nothing is released"):
        document.load(tmp_path / document.FILE, [])


@pytest.mark.parametrize("damage", ["cut", "altered", "stranger", "verdict", "list"])
def test_a_policy_that_cannot_be_believed_is_none(tmp_path: Path, damage: str) -> None:
    release.install(tmp_path)
    path, keys = tmp_path / document.FILE, [tmp_path / "keys" / "release-policy.pub"]
    assert document.load(path, keys).name == "tests"
    envelope = json.loads(path.read_text())
    stranger = Signer.load_or_create(tmp_path / "stranger.key")
    match damage:
        case "cut":
            path.write_text(path.read_text()[:-9])
        case "altered":
            other = document.sign("looser", release.policy_spec(gates=[]), stranger)
            path.write_text(json.dumps({**other, "signatures": envelope["signatures"]}))
        case "stranger":
            path.write_text(json.dumps(document.sign("tests", release.policy_spec(), stranger)))
        case "verdict":
            path.write_text(json.dumps(verdict(Signer.load_or_create(tmp_path / "keys" / "release-policy.key"))))
        case "list":
            path.write_text("[]")
    with pytest.raises(document.NoPolicy, match="nothing is released"):
        document.load(path, keys)


def test_the_policy_of_the_examples_is_the_one_that_ships() -> None:
    name, spec = document.parse(document.development(), origin="development")
    shown = Path(__file__).parents[3] / "examples" / "policy.yaml"
    assert shown.read_text() == document.development()
    policy = document.policy_of(name, spec)
    assert policy.name == "development"
    assert policy.requirements("default", "demo") != policy.requirements("default", "something else")
    assert not gaps(findings(policy, VerdictPredicate.from_json(release.proven())))
    assert gaps(findings(policy, VerdictPredicate.from_json(release.proven("demo"))))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: ReleasePolicy", "apiVersion"),
        ("[1]", "mapping"),
        ("a: [", "not YAML"),
        (
            "{apiVersion: posology.dev/v1alpha1, kind: ReleasePolicy, metadata: {name: x}, "
            "spec: {default: {roots: {}}}}",
            "anyBase",
        ),
        (
            "{apiVersion: posology.dev/v1alpha1, kind: ReleasePolicy, metadata: {name: x}, spec: {default: {roots: "
            "{anyBase: true}, suites: [{gates: [{kind: accuracy, demands: {atleast: 0.5}}]}]}}}",
            "demands.atleast.*atLeast",
        ),
    ],
)
def test_a_wrong_policy_is_refused_by_field(text: str, says: str) -> None:
    with pytest.raises(Exception, match=says):
        document.parse(text, origin="policy.yaml")
