"""Bytes and lineage: every file behind a verdict is what its digest says, and one thing was made from the other."""

from collections.abc import Iterator, Mapping
from typing import Any

from posology.client.stored import Stored
from posology.client.verification.domain import Check, Failed, check
from posology.core.artifacts import Manifest

Behind = Mapping[str, Manifest]


def checks(model: str, predicate: Mapping[str, Any], origin: str, stored: Stored, behind: Behind) -> Iterator[Check]:
    """The weights, everything behind them, the evaluation and its suites; then how they hang together."""
    if origin.startswith("sha256:"):
        yield check("artifact", "verdict", lambda: _sound(origin, stored))
    yield check("artifact", "model (the subject)", lambda: _sound(model, stored))
    for kind, digest in _others(model, predicate, behind):
        yield check("artifact", kind, lambda digest=digest: _sound(digest, stored))  # type: ignore[misc]
    yield check("lineage", "weights", lambda: _made_from(predicate, behind))
    yield check("lineage", "suites", lambda: _suites(predicate, stored))


def _others(model: str, predicate: Mapping[str, Any], behind: Behind) -> Iterator[tuple[str, str]]:
    """Kind and digest of everything else, each once."""
    named = {digest: kind for kind, digests in predicate.get("lineage", {}).items() for digest in digests}
    named |= {digest: manifest.kind for digest, manifest in behind.items()}
    named |= {digest: "suites" for digest in [predicate.get("suitesArtifact", "")] if digest}
    yield from ((kind, digest) for digest, kind in named.items() if digest != model)


def _sound(digest: str, stored: Stored) -> str:
    """Read every file in every store that has the artifact."""
    holding = [store for store in stored.stores if store.exists(digest)]
    if not holding:
        raise Failed(f"{digest or 'it'} is not in {' or '.join(store.url for store in stored.stores)}")
    for store in holding:
        store.verify(digest)
    manifest = holding[0].manifest(digest)
    copies = f", in {len(holding)} stores" if len(holding) > 1 else ""
    files = "1 file" if len(manifest.files) == 1 else f"{len(manifest.files)} files"
    return f"{digest}: {files}, {manifest.size:,} bytes as published{copies}"


def _made_from(predicate: Mapping[str, Any], behind: Behind) -> str:
    """What the verdict names as behind the weights is what their manifests say."""
    named = {"adapter": predicate.get("adapter", ""), "base model": predicate.get("baseModel", "")}
    for name, digest in named.items():
        if digest and digest not in behind:
            raise Failed(f"the verdict names the {name} {digest}, from which these weights were not made")
    data = [digest for digest, manifest in behind.items() if manifest.kind == "dataset"]
    if predicate.get("dataset") and predicate["dataset"] not in data:
        raise Failed(f"the verdict names the data set {predicate['dataset']}, from which they were not made")
    kinds = ", ".join(f"{manifest.kind} {digest[:19]}" for digest, manifest in list(behind.items())[1:])
    return f"made from {kinds or 'nothing'}"


def _suites(predicate: Mapping[str, Any], stored: Stored) -> str:
    """The questions are the ones that the verdict names."""
    files = {file.path: file.sha256 for file in stored.manifest(predicate["suitesArtifact"]).files}
    for suite, digest in predicate["suites"].items():
        if "sha256:" + files.get(f"{suite}.jsonl", "") != digest:
            raise Failed(f"the questions of {suite} are not those with {digest}")
    return ", ".join(f"{suite} {digest[:19]}" for suite, digest in predicate["suites"].items())
