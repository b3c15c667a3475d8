"""Expiry bounds signing, revocation bounds loading, and a rotation is seen by nobody who verifies."""

import base64
import json
import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from checks.documents import all_blocks
from support import release
from support.servers import REPOSITORY
from typer.testing import CliRunner

from posology.cli.app import app
from posology.client.verification.trusted_keys import TrustedKeys
from posology.core import key_rotation, signing
from posology.core.attestations.verdict import PREDICATE_TYPE
from posology.core.canonical import canonical_json
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound, PosologyError
from posology.core.key_rotation import rotate
from posology.core.release import document
from posology.core.revocation import read_revoked
from posology.core.signing import KeyExpired, OutsideWindow, PublicKey, Signer, Window, statement, verify
from posology.engine import EngineConfig
from posology.serving import domain
from posology.serving.admission import Trust, admit

MODEL = "sha256:" + "a" * 64
SAID = statement(PREDICATE_TYPE, {"model": MODEL}, {"outcome": "PASS"})


def public(folder: Path, role: str = "evaluation") -> list[PublicKey]:
    return [PublicKey.load(path) for path in document.keys_in(folder, (), role)]


def at(monkeypatch: pytest.MonkeyPatch, days: float) -> datetime:
    moment = datetime.now(UTC) + timedelta(days=days)
    monkeypatch.setattr(signing, "utc_now", lambda: moment)
    return moment


def dated(key: Path, said: object) -> signing.Envelope:
    """What somebody signs who has the key and not our code: with any time, or none."""
    signer = Signer.load_or_create(key)
    bare = Signer(*signing._load(key)[:1])  # the same key, without its window
    assert bare.id == signer.id
    return bare.sign({**SAID, "signedAt": said} if said is not None else SAID)


def test_what_was_signed_before_a_rotation_verifies_after_it(tmp_path: Path) -> None:
    before = Signer.load_or_create(tmp_path / "evaluation.key").sign(SAID)
    first = rotate(tmp_path, "evaluation", days=30)
    between = Signer.load_or_create(tmp_path / "evaluation.key").sign(SAID)
    second = rotate(tmp_path, "evaluation", days=30)
    after = Signer.load_or_create(tmp_path / "evaluation.key").sign(SAID)
    assert (second.old, second.new.id) == (first.new.id, after["signatures"][0]["keyid"])
    for envelope in (before, between, after):
        assert verify(envelope, public(tmp_path))["predicate"] == {"outcome": "PASS"}
        assert TrustedKeys.load(tmp_path).verify(envelope, PREDICATE_TYPE)
    assert len({key.id for key in public(tmp_path)}) == 3
    assert [path.name for path in tmp_path.glob("*.key")] == ["evaluation.key"]


def test_a_signer_takes_up_a_new_key_without_a_restart(tmp_path: Path) -> None:
    signer = Signer.load_or_create(tmp_path / "evaluation.key")
    old = signer.id
    new = rotate(tmp_path, "evaluation", days=1).new
    assert signer.id == new.id != old
    assert verify(signer.sign(SAID), [PublicKey.load(tmp_path / "evaluation.pub")])
    (tmp_path / "evaluation.key").write_text("half a k")
    assert signer.id == new.id
    (tmp_path / "evaluation.key").unlink()
    assert signer.sign(SAID)["signatures"][0]["keyid"] == new.id


def test_an_expired_key_signs_nothing_and_what_it_signed_verifies_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate(tmp_path, "evaluation", days=30)
    signer = Signer.load_or_create(tmp_path / "evaluation.key")
    envelope = signer.sign(SAID)
    for days in (30.01, 31, 10_000):
        at(monkeypatch, days)
        with pytest.raises(KeyExpired, match="rotate it: posology signing-keys rotate"):
            signer.sign(SAID)
        assert verify(envelope, public(tmp_path))  # however late a restart is
    at(monkeypatch, -1)
    with pytest.raises(KeyExpired):
        signer.sign(SAID)


@pytest.mark.parametrize(
    "said",
    [
        "2199-01-01T00:00:00Z",
        "1999-01-01T00:00:00Z",
        "2199-01-01",
        "",
        None,
        5,
        "yesterday",
        {"at": 1},
        "2199-13-01T00:00:00Z",
    ],
)
def test_what_an_expired_key_signs_all_the_same_is_refused(tmp_path: Path, said: object) -> None:
    rotate(tmp_path, "evaluation", days=30)
    with pytest.raises(OutsideWindow):
        verify(dated(tmp_path / "evaluation.key", said), public(tmp_path))


def test_a_time_altered_after_signing_is_an_alteration(tmp_path: Path) -> None:
    rotate(tmp_path, "evaluation", days=30)
    envelope = Signer.load_or_create(tmp_path / "evaluation.key").sign(SAID)
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["signedAt"] = "2026-01-01T00:00:00Z"
    forged = {**envelope, "payload": base64.b64encode(canonical_json(payload)).decode()}
    with pytest.raises(signing.SignatureMismatch):
        verify(forged, public(tmp_path))


def test_a_key_without_an_end_signs_the_same_bytes_as_ever(tmp_path: Path) -> None:
    signer = Signer.load_or_create(tmp_path / "evaluation.key")
    assert "signedAt" not in json.loads(base64.b64decode(signer.sign(SAID)["payload"]))


@pytest.mark.parametrize(
    "header",
    ["not-after: tomorrow\n", "not_after: 2026-01-01T00:00:00Z\n", "not-after: 2026-01-01\n", "expires: 1\n", "x\n",
     "not-after: 2026-01-01T00:00:00Z\nnot-after: 2199-01-01T00:00:00Z\n"],
)  # fmt: skip
def test_a_bound_that_is_not_understood_is_no_key(tmp_path: Path, header: str) -> None:
    key = tmp_path / "evaluation.key"
    public_pem = Signer.load_or_create(key).public_key.pem
    with pytest.raises(InvalidInput):
        PublicKey.from_pem(header + public_pem)
    key.write_bytes(header.encode() + key.read_bytes())
    with pytest.raises(FailedPrecondition):
        Signer.load_or_create(key)


def test_a_bound_taken_away_from_the_public_key_is_seen_by_its_signer(tmp_path: Path) -> None:
    rotate(tmp_path, "evaluation", days=1)
    pub = tmp_path / "evaluation.pub"
    pub.write_text("".join(line for line in pub.read_text().splitlines(True) if not line.startswith("not-")))
    with pytest.raises(FailedPrecondition, match="does not belong to"):
        Signer.load_or_create(tmp_path / "evaluation.key")


def trust(folder: Path) -> Trust:
    revoked = read_revoked(folder / "revoked")
    return Trust(public(folder), release.policy(), revoked=revoked, deny_list=release.deny_list())


def test_serving_believes_a_rotated_key_and_no_revoked_one(tmp_path: Path) -> None:
    predicate = {**release.proven(), "engine": EngineConfig().to_dict(), "probes": []}
    envelope = Signer.load_or_create(tmp_path / "evaluation.key").sign(
        statement(PREDICATE_TYPE, {"model": MODEL}, predicate)
    )

    def admitted() -> object:
        return admit(
            envelope, model=MODEL, engine=None, namespace="default", model_name="labels", trust=trust(tmp_path)
        )

    old = rotate(tmp_path, "evaluation", days=30).old
    assert admitted()
    key_rotation.revoke(tmp_path, old[:12], reason="lost # really\nlost")
    with pytest.raises(domain.RevokedKey):
        admitted()
    with pytest.raises(signing.UnknownKey, match="was revoked"):
        TrustedKeys.load(tmp_path).verify(envelope, PREDICATE_TYPE)
    assert read_revoked(tmp_path / "revoked") == {old}


def test_a_key_that_signs_is_not_revoked_and_neither_is_one_that_nobody_knows(tmp_path: Path) -> None:
    current = Signer.load_or_create(tmp_path / "evaluation.key").id
    with pytest.raises(FailedPrecondition, match="rotate it first"):
        key_rotation.revoke(tmp_path, current, reason="x")
    for key_id in ("", "sha256:", current[:7], "f" * 64, "evaluation", "*"):
        with pytest.raises(NotFound):
            key_rotation.revoke(tmp_path, key_id, reason="x")
    assert not (tmp_path / "revoked").exists()


@pytest.mark.parametrize(("role", "days"), [("evaluation", -1), ("../evaluation", 1), ("", 1), ("Evaluation", 1)])
def test_nonsense_is_refused_and_changes_nothing(tmp_path: Path, role: str, days: int) -> None:
    Signer.load_or_create(tmp_path / "evaluation.key")
    before = (tmp_path / "evaluation.pub").read_text()
    with pytest.raises(InvalidInput):
        rotate(tmp_path, role, days=days)
    assert (tmp_path / "evaluation.pub").read_text() == before


def test_nobody_who_verifies_sees_a_rotation(tmp_path: Path) -> None:
    """Signing and verifying all the while, whatever moment a rotation is in."""
    signer = Signer.load_or_create(tmp_path / "evaluation.key")
    problems: list[PosologyError] = []
    over = threading.Event()

    def busily() -> None:
        while not over.is_set():
            try:
                verify(signer.sign(SAID), public(tmp_path))
            except PosologyError as error:
                problems.append(error)

    thread = threading.Thread(target=busily)
    thread.start()
    for _ in range(5):
        rotate(tmp_path, "evaluation", days=1)
    over.set()
    thread.join()
    assert problems == []
    assert len({key.id for key in public(tmp_path)}) == 6


def test_windows_are_said_in_words() -> None:
    end = datetime(2027, 1, 2, tzinfo=UTC)
    assert str(Window()) == "without an end"
    assert str(Window(not_after=end)) == "until 2027-01-02 00:00:00 UTC"


def test_the_steps_of_the_page_work_as_written(tmp_path: Path) -> None:
    """docs/signing-keys.md, every `posology` line of its blocks for one machine, in order; those that need services are
    typed where services run (tests/service/evaluation/test_a_verdict_outlives_its_key.py)."""
    data = tmp_path / ".posology"
    for role in key_rotation.ROLES:
        Signer.load_or_create(data / "keys" / f"{role}.key")
    runner = CliRunner()
    blocks = [b for b in all_blocks() if b.mark == "ci" and "signing-keys.md" in b.place]
    lines = [line.partition("#")[0].split() for block in blocks for line in block.text.splitlines()]
    typed = [words for words in lines if words[:1] == ["posology"] and words[1] not in ("verdicts", "deployments")]
    assert len(typed) >= 9
    replaced = ""
    for words in typed:
        if words[1:3] == ["signing-keys", "revoke"]:
            words = ["posology", "signing-keys", "revoke", replaced, "--reason", "lost"]
        words = [str(REPOSITORY / word) if word.startswith("examples/") else word for word in words[1:]]
        ended = runner.invoke(app, ["--data", str(data), *words], env={"HOME": str(tmp_path), **os.environ})
        assert ended.exit_code == 0, (words, ended.output, ended.exception)
        if words[:2] == ["signing-keys", "rotate"] and words[2] == "evaluation":
            known = key_rotation.known_keys(data / "keys")
            replaced = next(one.key.id for one in known if one.file.startswith("evaluation-"))
    assert "verifies" in runner.invoke(app, ["--data", str(data), "signing-keys", "list"]).output
    assert read_revoked(data / "keys" / "revoked") == {replaced}
    assert document.load(data / document.FILE, document.keys_in(data / "keys", (), document.KEY)).name
