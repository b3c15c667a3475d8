"""A ReleasePolicy resource counts only as it was signed, by a key that the installation knows already."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import release
from typer.testing import CliRunner

from posology.cli.app import app
from posology.core.release import document
from posology.core.signing import Signer, statement
from posology.operator.release_policy import judged

POLICY = {"apiVersion": document.API_VERSION, "kind": document.KIND, "metadata": {"name": "strict"}}


class Desk:
    """Who signs policies, and what the installation knows of it."""

    def __init__(self, root: Path) -> None:
        self.signer = Signer.load_or_create(root / "release-policy.key")
        other = Signer.load_or_create(root / "other.key")
        self.stored = {"release-policy.pub": self.signer.public_key.pem, "evaluation.pub": other.public_key.pem}
        self.other = other

    def resource(self, signer: Signer | None = None, name: str = "strict", **requirements: Any) -> dict[str, Any]:
        spec = release.policy_spec(**requirements)
        return document.manifest(name, spec, document.sign(name, spec, signer or self.signer))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_what_was_signed_counts(desk: Desk) -> None:
    finding = judged(desk.resource(), desk.stored)
    assert (finding.reason, finding.key) == ("InForce", desk.signer.id)
    assert document.verified(json.loads(finding.envelope), [desk.signer.public_key]).name == "strict"


def altered(resource: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**copy.deepcopy(resource), **changes}


def test_what_was_not_signed_so_does_not_count(desk: Desk) -> None:
    good = desk.resource()
    laxer = copy.deepcopy(good["spec"])
    laxer["default"]["suites"][0]["gates"][0]["demands"]["atLeast"] = 0.0
    no_suite = copy.deepcopy(good["spec"])
    no_suite["default"]["suites"] = []
    more = {**copy.deepcopy(good["spec"]), "overrides": [{"namespace": "bob", "requirements": laxer["default"]}]}
    verdict = desk.signer.sign(
        statement("https://posology.dev/verdict/v1alpha1", {"model": "a" * 64}, {"outcome": "PASS"})
    )
    attacks: dict[str, tuple[dict[str, Any], str]] = {
        "no signature": (altered(good, signature=None), "NotSigned"),
        "an empty one": (altered(good, signature={}), "NotSigned"),
        "a lower floor": (altered(good, spec=laxer), "Altered"),
        "no suite": (altered(good, spec=no_suite), "InvalidSpec"),
        "an exception more": (altered(good, spec=more), "Altered"),
        "another name": (altered(good, metadata={"name": "other"}), "Altered"),
        "the signature of another policy": (
            altered(good, signature=desk.resource(name="other")["signature"]),
            "Altered",
        ),
        "the key of verdicts": (desk.resource(desk.other), "SignatureInvalid"),
        "another statement": (altered(good, signature=verdict), "SignatureInvalid"),
        "a text": (altered(good, signature={"payload": "x", "payloadType": "y", "signatures": []}), "SignatureInvalid"),
        "an empty spec": (altered(good, spec={}), "Altered"),
        "a field that is none": (altered(good, spec={**good["spec"], "everything": True}), "InvalidSpec"),
    }
    for attack, (resource, reason) in attacks.items():
        finding = judged(resource, desk.stored)
        assert (finding.reason, finding.envelope) == (reason, ""), (attack, finding)
        assert finding.message


@pytest.mark.parametrize(
    "stored", [{}, {"release-policy.pub": "x"}, {"policy.pub": "KEY"}, {"release-policy.txt": "KEY"}]
)
def test_without_a_key_to_know_it_by_nothing_counts(desk: Desk, stored: dict[str, str]) -> None:
    stored = {name: value.replace("KEY", desk.signer.public_key.pem) for name, value in stored.items()}
    assert judged(desk.resource(), stored).reason == "SignatureInvalid"


@pytest.mark.parametrize("listed", ["{id}", "sha256:{ID}  # lost", "{id}  -\n", "nonsense"])
def test_a_revoked_key_and_a_list_that_is_not_understood_let_nothing_count(desk: Desk, listed: str) -> None:
    revoked = listed.format(id=desk.signer.id, ID=desk.signer.id.upper())
    assert judged(desk.resource(), {**desk.stored, "revoked": revoked}).reason == "SignatureInvalid"


def test_a_key_that_was_rotated_out_counts_until_it_is_revoked(desk: Desk, tmp_path: Path) -> None:
    new = Signer.load_or_create(tmp_path / "new" / "release-policy.key").public_key
    stored = {"release-policy.pub": new.pem, "release-policy-old.pub": desk.signer.public_key.pem}
    assert judged(desk.resource(), stored).reason == "InForce"


def test_the_command_writes_what_the_operator_takes(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump({**POLICY, "spec": {"default": release.policy_spec()["default"]}}))
    key, out = tmp_path / "k" / "release-policy.key", tmp_path / "signed.yaml"
    words = ["--data", str(tmp_path / "d"), "policy", "sign", str(file), "--key", str(key), "--manifest", str(out)]
    ended = CliRunner().invoke(app, words)
    assert ended.exit_code == 0, ended.output
    stored = {"release-policy.pub": key.with_suffix(".pub").read_text()}
    assert judged(yaml.safe_load(out.read_text()), stored).reason == "InForce"
    again = CliRunner().invoke(app, [*words[:4], str(out), *words[5:]])  # a signed one may be signed again
    assert again.exit_code == 0, again.output
    both = CliRunner().invoke(app, [*words, "--to", str(out)])
    assert both.exit_code != 0
