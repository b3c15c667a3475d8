"""A signed statement is believed only as it was signed, by a key that is trusted."""

import base64
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from posology.core.errors import FailedPrecondition, InvalidInput
from posology.core.signing import (
    NotSigned,
    PublicKey,
    SignatureInvalid,
    SignatureMismatch,
    Signer,
    UnknownKey,
    WrongPredicate,
    statement,
    verify,
)

VERDICT = "https://posology.dev/verdict/v1"
SUBJECTS = {"model": "sha256:" + "a" * 64}


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.load_or_create(tmp_path / "keys/evaluation.key")


@pytest.fixture
def envelope(signer: Signer) -> dict[str, Any]:
    return signer.sign(statement(VERDICT, SUBJECTS, {"outcome": "PASS", "n": 200, "seed": 2**63 + 1}))


def altered(envelope: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    payload = base64.b64decode(envelope["payload"]).decode()
    assert old in payload
    return {**envelope, "payload": base64.b64encode(payload.replace(old, new).encode()).decode()}


def test_a_genuine_statement_comes_back_exactly(signer: Signer, envelope: dict[str, Any]) -> None:
    stored = json.loads(json.dumps(envelope))
    found = verify(stored, [signer.public_key], predicate_type=VERDICT)
    assert found["predicate"] == {"outcome": "PASS", "n": 200, "seed": 2**63 + 1}
    assert found["subject"] == [{"name": "model", "digest": {"sha256": "a" * 64}}]
    assert found["_type"] == "https://in-toto.io/Statement/v1"
    assert stored == envelope


def test_an_altered_statement_is_refused(signer: Signer, envelope: dict[str, Any]) -> None:
    forged = altered(envelope, '"n":200', '"n":201')
    with pytest.raises(SignatureMismatch, match="altered after signing"):
        verify(forged, [signer.public_key])


def test_another_digest_under_the_same_signature_is_refused(signer: Signer, envelope: dict[str, Any]) -> None:
    with pytest.raises(SignatureMismatch):
        verify(altered(envelope, "a" * 64, "b" * 64), [signer.public_key])


def test_a_stranger_key_is_refused_and_named(signer: Signer, tmp_path: Path, envelope: dict[str, Any]) -> None:
    other = Signer.load_or_create(tmp_path / "other.key")
    with pytest.raises(UnknownKey, match=f"{signer.id[:12]}.*trusted: {other.id[:12]}"):
        verify(envelope, [other.public_key])
    with pytest.raises(UnknownKey, match="trusted: none"):
        verify(envelope, [])


def test_a_stranger_that_claims_a_trusted_key_id_is_refused(signer: Signer, tmp_path: Path) -> None:
    forged = Signer.load_or_create(tmp_path / "other.key").sign(statement(VERDICT, SUBJECTS, {"outcome": "PASS"}))
    forged["signatures"][0]["keyid"] = signer.id
    with pytest.raises(SignatureMismatch):
        verify(forged, [signer.public_key])


def test_an_unsigned_statement_is_refused(signer: Signer, envelope: dict[str, Any]) -> None:
    for unsigned in (None, {}, {**envelope, "signatures": []}):
        with pytest.raises(NotSigned):
            verify(unsigned, [signer.public_key])


def test_a_statement_about_something_else_is_refused(signer: Signer, envelope: dict[str, Any]) -> None:
    with pytest.raises(WrongPredicate, match=r"verdict/v1, wanted is a .*provenance"):
        verify(envelope, [signer.public_key], predicate_type="https://slsa.dev/provenance/v1")


@pytest.mark.parametrize("junk", [{"payload": 1}, {"payload": "x", "payloadType": "t", "signatures": [{}]}])
def test_what_is_no_envelope_is_refused(signer: Signer, junk: dict[str, Any]) -> None:
    with pytest.raises(SignatureInvalid, match="no DSSE envelope"):
        verify(junk, [signer.public_key])


def test_a_statement_needs_subjects_and_a_type() -> None:
    for predicate_type, subjects in (("", SUBJECTS), (VERDICT, {})):
        with pytest.raises(InvalidInput, match="in-toto"):
            statement(predicate_type, subjects, {})


def test_the_key_is_private_made_once_and_found_again(signer: Signer, tmp_path: Path) -> None:
    key = tmp_path / "keys/evaluation.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert Signer.load_or_create(key).id == signer.id
    assert PublicKey.load(key.with_suffix(".pub")) == signer.public_key
    assert sorted(path.name for path in key.parent.iterdir()) == ["evaluation.key", "evaluation.pub"]


def test_processes_that_start_together_get_one_key(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from posology.core.signing import Signer;"
        "sys.stdin.read(1); print(Signer.load_or_create(pathlib.Path(sys.argv[1])).id)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "keys/one.key")]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate("x")[0] for process in started}) == 1


def test_a_key_that_everybody_may_read_is_refused(signer: Signer, tmp_path: Path) -> None:
    (tmp_path / "keys/evaluation.key").chmod(0o644)
    with pytest.raises(FailedPrecondition, match="chmod 600"):
        Signer.load_or_create(tmp_path / "keys/evaluation.key")


def test_a_public_key_of_another_pair_is_said(signer: Signer, tmp_path: Path) -> None:
    other = Signer.load_or_create(tmp_path / "other.key")
    (tmp_path / "keys/evaluation.pub").write_text(other.public_key.pem)
    with pytest.raises(FailedPrecondition, match="does not belong"):
        Signer.load_or_create(tmp_path / "keys/evaluation.key")


def test_the_key_id_is_what_openssl_says(signer: Signer, tmp_path: Path) -> None:
    command = f"openssl pkey -pubin -in {tmp_path}/keys/evaluation.pub -outform DER | sha256sum"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    if done.returncode or done.stderr:
        pytest.skip("no openssl here")
    assert done.stdout.split()[0] == signer.id


def test_what_is_no_key_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.key").write_text("junk")
    (tmp_path / "bad.key").chmod(0o600)
    with pytest.raises(FailedPrecondition, match="no private key"):
        Signer.load_or_create(tmp_path / "bad.key")
    with pytest.raises(InvalidInput, match=r"missing.pub"):
        PublicKey.load(tmp_path / "missing.pub")
