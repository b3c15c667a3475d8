"""A small store with everything behind a signed verdict, made with the services' own rules and real signatures."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.client.stored import Stored
from posology.client.verification import TrustedKeys
from posology.client.verification.trusted_keys import PROVENANCE, REVIEW, VERDICT
from posology.core.artifacts import ArtifactStore
from posology.core.canonical import canonical_digest, canonical_json
from posology.core.signing import Signer, statement
from posology.engine import EngineConfig
from posology.engine.config import chat_template_digest
from posology.evaluation import convert, gates, items
from posology.evaluation.domain import Choice
from support import parity as healthy

SERVICES = ("curation", "training", "evaluation")
SECTION = {
    "id": "s-1", "drug": "quotazol", "family": "quotazol", "set_id": "label-1", "code": "34068-7", "title": "2.2 Dose",
    "source": "quotazol.xml", "text": "The maximum dose of Quotazol is 300 mg.",
}  # fmt: skip
PAIR = {
    "id": "p-1", "prompt": [{"role": "user", "content": "What is the maximum dose of Quotazol?"}], "section": "s-1",
    "completion": [{"role": "assistant", "content": "It is 300 mg."}], "drug": "quotazol", "source": "quotazol.xml",
    "evidence": SECTION["text"], "question_type": "dose", "tags": [],
}  # fmt: skip
POLICY = {
    "suites": [{"name": "everyday", "uri": "file:/suites/everyday.jsonl"}],
    "gates": [{"suite": "everyday", "atLeast": 0.5}, {"suite": "everyday", "maxDrop": 0.2}],
}


@dataclass
class World:
    """The store, the keys and the verdict's predicate; change what you like, then `seal`."""

    root: Path
    stored: Stored
    signers: Mapping[str, Signer]
    model: str
    predicate: dict[str, Any]

    @property
    def keys(self) -> Path:
        """The folder of public keys."""
        return self.root / "keys"

    @property
    def keyring(self) -> TrustedKeys:
        """Its keys."""
        return TrustedKeys.load(self.keys)

    def seal(self, *, by: str = "evaluation", **changes: Any) -> str:
        """Sign the predicate with these changes, publish it, and give its digest."""
        made = statement(VERDICT, {"model": self.model}, {**self.predicate, **changes})
        return self.publish({"verdict.dsse.json": canonical_json(self.signers[by].sign(made))}, kind="verdict")

    @property
    def store(self) -> ArtifactStore:
        """Where candidates are."""
        store = self.stored.stores[0]
        assert isinstance(store, ArtifactStore)
        return store

    def publish(self, files: Mapping[str, bytes | str], *, kind: str, parents: tuple[str, ...] = ()) -> str:
        """An artifact of these files."""
        return _publish(self.store, self.root, files, kind=kind, parents=parents)

    def carried(self, index: int, change: Callable[[dict[str, Any]], None]) -> list[dict[str, Any]]:
        """The carried statements, one of them changed; its digest is made right again."""
        found: list[dict[str, Any]] = copy.deepcopy(self.predicate["statements"])
        change(found[index]["envelope"])
        found[index]["digest"] = canonical_digest(found[index]["envelope"])
        return found


def build(root: Path) -> World:
    """Labels to verdict, in miniature."""
    store = ArtifactStore(f"file://{root}/candidates")
    stored = Stored(store, ArtifactStore(f"file://{root}/released"))
    signers = {name: Signer.load_or_create(root / "keys" / f"{name}.key") for name in SERVICES}

    def publish(files: Mapping[str, bytes | str], kind: str, *parents: str) -> str:
        return _publish(store, root, files, kind=kind, parents=parents)

    template = {"chat_template.jinja": "{{ messages }}"}
    data = {"train.jsonl": json.dumps(PAIR), "sections.jsonl": json.dumps(SECTION)}
    base = publish({**template, "model.safetensors": b"base"}, "base-model")
    raw = publish(data, "dataset")
    reviewed = publish({**data, "review.json": "{}"}, "dataset", raw)
    adapter = publish({"adapter_model.safetensors": b"adapter"}, "adapter", base, reviewed)
    model = publish({**template, "model.safetensors": b"merged"}, "model", base, adapter)
    suites = publish({"everyday.jsonl": "{}"}, "suites")
    observed = EngineConfig().observed(
        chat_template=chat_template_digest(_folder(root, template)), engine_version="0.32.0", max_model_len=512
    )
    engine = {"tuned": observed.to_dict(), "base": observed.to_dict()}
    lines = [_line(which, number) for which in ("base", "tuned") for number in range(40)]
    parity = items.parity_json([healthy.step()], exact=healthy.EXACT)
    probes = [{"prompt": "Hello", "tokenIds": [1, 2]}]
    files: dict[str, bytes | str] = {
        "items.jsonl": items.write(lines),
        "parity.json": json.dumps(parity),
        "engine.json": json.dumps(engine),
        "probes.json": json.dumps(probes),
    }
    evaluation = publish(files, "evaluation")
    digests = {"everyday": "sha256:" + store.manifest(suites).file("everyday.jsonl").sha256}
    policy = convert.policy_from_spec({"evaluation": _with_defaults(POLICY)}, digests)
    results = gates.decide(policy, items.evidence(lines, parity, policy))
    statements = [
        signers["curation"].sign(_review(raw, reviewed)),
        signers["training"].sign(_provenance("sft", adapter, "adapter", (base, reviewed))),
        signers["training"].sign(_provenance("merge", model, "model", (base, adapter))),
    ]
    predicate = {
        "outcome": "PASS",
        "gates": [convert.gate_to_json(result) for result in results],
        "engine": observed.to_dict(),
        "probes": probes,
        "policy": _with_defaults(POLICY),
        "suites": digests,
        "suitesArtifact": suites,
        "evaluation": {"name": "namespaces/default/evaluations/e", "artifact": evaluation},
        "baseModel": base,
        "adapter": adapter,
        "dataset": reviewed,
        "lineage": {"dataset": [reviewed, raw], "evaluation": [evaluation]},
        "run": "namespaces/default/fineTuneRuns/micro",
        "auditHeads": {},
        "statements": [{"digest": canonical_digest(envelope), "envelope": envelope} for envelope in statements],
    }
    return World(root, stored, signers, model, predicate)


def forge(envelope: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    """Change what an envelope says and leave its signature as it is."""
    body = json.loads(base64.b64decode(envelope["payload"]))
    change(body)
    envelope["payload"] = base64.b64encode(canonical_json(body)).decode()


def spoil(stored: Stored, digest: str, path: str) -> None:
    """Change one byte of a file of an artifact, behind the store's back."""
    store = stored.stores[0]
    sha256 = store.manifest(digest).file(path).sha256
    blob = Path(store.url.removeprefix("file://")) / "blobs" / sha256[:2] / sha256
    content = bytearray(blob.read_bytes())
    content[0] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(bytes(content))


def _line(which: str, number: int) -> dict[str, Any]:
    """Base and tuned differ on two items of forty, each wins one."""
    right = 1 if number == (0 if which == "base" else 1) else 0
    return items.line("everyday", which, Choice(f"q{number}", "", 0, (-1.0 - right, -1.5)))


def _review(raw: str, reviewed: str) -> dict[str, Any]:
    predicate = {
        "result": "PASS", "subject": raw, "artifact": reviewed, "rated": 30, "errors": 0, "upper_bound": 0.095,
        "policy": {"max_error_rate": 0.1}, "reviewer_kinds": ["automated stand-in, not an expert"],
    }  # fmt: skip
    return statement(REVIEW, {"reviewed": reviewed}, predicate)


def _provenance(task: str, digest: str, kind: str, parents: tuple[str, ...]) -> dict[str, Any]:
    inputs = [{"digest": {"sha256": parent.removeprefix("sha256:")}} for parent in parents]
    build_type = f"https://posology.dev/training/{task}/v1"
    return statement(
        PROVENANCE, {kind: digest}, {"buildDefinition": {"buildType": build_type, "resolvedDependencies": inputs}}
    )


def _with_defaults(policy: Mapping[str, Any]) -> dict[str, Any]:
    from posology.core import schema
    from posology.v1alpha1.evaluation_pb2 import EvaluationSpec

    spec = schema.parse(EvaluationSpec, dict(policy))
    schema.apply_defaults(spec)
    return schema.to_mapping(spec)


def _folder(root: Path, files: Mapping[str, bytes | str]) -> Path:
    folder = root / f"files-{len(list(root.iterdir()))}"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def _publish(
    store: ArtifactStore, root: Path, files: Mapping[str, bytes | str], *, kind: str, parents: tuple[str, ...]
) -> str:
    return store.publish(_folder(root, files), kind=kind, producer="test", parents=parents)
