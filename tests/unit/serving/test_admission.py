"""What may serve: a verifying PASS for these weights and this engine configuration, and nothing else."""

from pathlib import Path
from typing import Any

import pytest
from support import release

from posology.core.attestations.verdict import PREDICATE_TYPE
from posology.core.errors import InvalidInput, PosologyError
from posology.core.signing import Signer, statement
from posology.engine import EngineConfig
from posology.serving import domain
from posology.serving.admission import Trust, admit

MODEL = "sha256:" + "a" * 64
ENGINE = EngineConfig(dtype="bfloat16", max_model_len=512, chat_template="sha256:t", engine_version="0.32.0")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.load_or_create(tmp_path / "evaluation.key")


def signed(signer: Signer, *, model: str = MODEL, **predicate: Any) -> dict[str, Any]:
    said = {**release.proven(), "engine": ENGINE.to_dict(), "probes": [], **predicate}
    return signer.sign(statement(PREDICATE_TYPE, {"model": model}, said))


def admitted(
    envelope: dict[str, Any], signer: Signer, *, engine: Any = None, revoked: frozenset[str] = frozenset()
) -> Any:
    trust = Trust([signer.public_key], release.policy(), revoked=revoked, deny_list=release.deny_list())
    return admit(envelope, model=MODEL, engine=engine, namespace="default", model_name="labels", trust=trust)


def test_a_pass_is_admitted(signer: Signer) -> None:
    assert admitted(signed(signer), signer).engine == ENGINE


@pytest.mark.parametrize(
    ("outcome", "error", "says"),
    [
        ("FAIL", domain.VerdictFailed, r"FAIL \(mmlu accuracy\); only PASS serves"),
        ("INSUFFICIENT_EVIDENCE", domain.EvidenceInsufficient, "score more items"),
        ("INVALID", domain.VerdictInvalid, "the evaluation itself was at fault"),
        ("pass", domain.NotReleased, "which is not PASS"),
    ],
)
def test_anything_but_pass_is_refused_with_its_own_error(
    signer: Signer, outcome: str, error: type[PosologyError], says: str
) -> None:
    gates = [{"suite": "mmlu", "metric": "accuracy", "outcome": outcome}, {"suite": "x", "outcome": "PASS"}]
    with pytest.raises(error, match=says):
        admitted(signed(signer, outcome=outcome, gates=gates), signer)


def test_a_verdict_about_other_weights_is_refused(signer: Signer) -> None:
    with pytest.raises(domain.OtherWeights, match="evaluate these weights"):
        admitted(signed(signer, model="sha256:" + "c" * 64), signer)


def test_a_verdict_by_an_unknown_key_is_refused(signer: Signer, tmp_path: Path) -> None:
    stranger = Signer.load_or_create(tmp_path / "stranger.key")
    with pytest.raises(domain.WrongKey, match="not signed by a key that serving trusts"):
        admitted(signed(stranger), signer)


def test_a_verdict_by_a_revoked_key_is_refused(signer: Signer) -> None:
    with pytest.raises(domain.RevokedKey, match="was revoked"):
        admitted(signed(signer), signer, revoked=frozenset({signer.id}))


def test_an_altered_verdict_is_refused(signer: Signer) -> None:
    passing, failing = signed(signer), signed(signer, outcome="FAIL")
    with pytest.raises(domain.AlteredVerdict, match="altered"):
        admitted({**passing, "signatures": failing["signatures"]}, signer)


def test_an_envelope_without_signature_is_no_verdict(signer: Signer) -> None:
    with pytest.raises(domain.MissingVerdict):
        admitted({**signed(signer), "signatures": []}, signer)


def test_another_statement_by_the_right_key_is_no_verdict(signer: Signer) -> None:
    review = signer.sign(statement("https://posology.dev/review/v1alpha1", {"model": MODEL}, {"outcome": "PASS"}))
    with pytest.raises(InvalidInput, match="no verdict"):
        admitted(review, signer)


@pytest.mark.parametrize("change", [{"dtype": "float32"}, {"max_model_len": 256}, {"engine_version": "0.33.0"}])
def test_another_engine_configuration_is_refused_by_name(signer: Signer, change: dict[str, Any]) -> None:
    with pytest.raises(domain.OtherEngine, match=next(iter(change))):
        admitted(signed(signer), signer, engine=change)


def test_what_a_caller_leaves_open_is_taken_from_the_verdict(signer: Signer) -> None:
    assert admitted(signed(signer), signer, engine={"dtype": "bfloat16", "max_model_len": 0})
