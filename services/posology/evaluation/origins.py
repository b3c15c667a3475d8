"""Where weights come from, by the manifests in the store: their weight files, their root, and who made the base."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from posology.core.artifacts import ArtifactStore, Manifest
from posology.core.attestations.verdict import Base
from posology.core.canonical import canonical_digest
from posology.core.errors import NotFound
from posology.core.release.weights import weight_files

WEIGHTS = ("base-model", "model")
"""Kinds of artifact that are whole models."""
LEARNT = ("dataset", "preferences")
"""Kinds of artifact that people review before weights learn from them."""


@dataclass(frozen=True)
class Origin:
    """What the manifests say of a candidate and of what its gates compare with."""

    weight_files: tuple[str, ...]
    base_files: tuple[str, ...]
    derived: tuple[str, ...] = ()
    """Digests of the models between the candidate and its root."""
    lineage: str = "UNKNOWN"
    """`ROOT`, `OTHER` or `UNKNOWN`; see `Base`."""
    root_files: tuple[str, ...] = ()
    """Weight files of the roots that the candidate comes from, whatever it was compared with."""

    @property
    def own_files(self) -> tuple[str, ...]:
        """What a FAIL follows: the files that neither the base nor a root has, which tuning left alone; all, where they
        have all of them."""
        before = {*self.base_files, *self.root_files}
        own = tuple(file for file in self.weight_files if file not in before)
        return own or self.weight_files

    @property
    def root(self) -> str:
        """By what uses of a suite are counted."""
        return files_digest(self.base_files)

    @property
    def weights(self) -> str:
        """One digest for the candidate's weight files, whatever stands beside them."""
        return files_digest(self.weight_files)

    def base(self, artifact: str, *, made_here: bool) -> Base:
        """What the verdict signs of the base."""
        return Base(artifact, self.base_files, made_here, self.lineage)


def origin(artifacts: ArtifactStore, model: str, base: str) -> Origin:
    """Blocking. A manifest behind the weights that is gone makes their lineage OTHER: nothing shows their root."""
    candidate, compared = artifacts.manifest(model), artifacts.manifest(base)
    behind, missing = _behind(artifacts, candidate)
    models = {digest: manifest for digest, manifest in behind.items() if manifest.kind in WEIGHTS}
    roots = {digest for digest, manifest in models.items() if not _has_models_behind(manifest, behind)}
    files = weight_files(compared)
    lineage = "UNKNOWN"
    if candidate.parents:
        from_base = [digest for digest in roots if weight_files(models[digest]) == files]
        lineage = "ROOT" if roots and len(from_base) == len(roots) and not missing else "OTHER"
    derived = tuple(sorted(digest for digest in models if digest not in roots))
    root_files = sorted({file for digest in roots for file in weight_files(models[digest])})
    return Origin(weight_files(candidate), files, derived, lineage, tuple(root_files))


def learnt(artifacts: ArtifactStore, model: str) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    """The sets that training read for these weights, by kind, and every digest behind them. Blocking.

    A model in between, whose weights are others, stands by its own verdict. What is gone could have been data, and
    counts as such.
    """
    start = artifacts.manifest(model)
    behind, _ = _behind(artifacts, start)
    files, read = weight_files(start), dict[str, list[str]]()
    layer, looked = [start], set[str]()
    while layer:
        for parent in layer.pop().parents:
            manifest = behind.get(parent)
            if parent in looked:
                continue
            looked.add(parent)
            if manifest is None or manifest.kind in LEARNT:
                read.setdefault(manifest.kind if manifest else LEARNT[0], []).append(parent)
            elif manifest.kind not in WEIGHTS or weight_files(manifest) == files:
                layer.append(manifest)
    return {kind: tuple(sorted(digests)) for kind, digests in read.items()}, frozenset(behind)


def root_of(artifacts: ArtifactStore, base: str) -> str:
    """By what uses of a suite are counted, if this base is a root that lies here; empty else. Blocking."""
    try:
        manifest = artifacts.manifest(base) if base else None
    except NotFound:
        return ""
    return files_digest(weight_files(manifest)) if manifest and not manifest.parents else ""


def files_digest(files: tuple[str, ...]) -> str:
    """One digest for a model's weight files, sorted as manifests and verdicts list them."""
    return canonical_digest(list(files))


@dataclass(frozen=True)
class Made:
    """A model that a run made from another: the weight files that are its own, and the root that it was tuned from."""

    artifact: str
    files: tuple[str, ...]
    """Hex sha256 of those that no model behind it has."""
    root: str = ""
    """As `Origin.root`, where it was tuned from one root without a model in between; empty else."""


def made_by_runs(artifacts: ArtifactStore, known: set[str]) -> Iterator[Made]:
    """Every model that was made from another; `known` digests are skipped, and those that were looked at are added to
    it. Blocking."""
    for digest, _ in artifacts.list():
        if digest in known:
            continue
        try:
            manifest = artifacts.manifest(digest)
        except NotFound:
            continue  # collected in this moment
        known.add(digest)
        if manifest.kind not in WEIGHTS or not manifest.parents:
            continue
        behind, missing = _behind(artifacts, manifest)
        models = [one for one in behind.values() if one.kind in WEIGHTS]
        taken = {f for one in models for f in weight_files(one)}
        own = tuple(file for file in weight_files(manifest) if file not in taken)
        direct = len(models) == 1 and not missing
        yield Made(digest, own, files_digest(weight_files(models[0])) if direct else "")


def _behind(artifacts: ArtifactStore, start: Manifest) -> tuple[dict[str, Manifest], bool]:
    """Every manifest that an artifact was made from, by digest, and whether one of them is gone."""
    behind: dict[str, Manifest] = {}
    layer, missing = list(start.parents), False
    while layer:
        digest = layer.pop()
        if digest in behind:
            continue
        try:
            behind[digest] = artifacts.manifest(digest)
        except NotFound:
            missing = True
            continue
        layer.extend(behind[digest].parents)
    return behind, missing


def _has_models_behind(manifest: Manifest, behind: Mapping[str, Manifest]) -> bool:
    layer, looked = list(manifest.parents), set[str]()
    while layer:
        digest = layer.pop()
        if digest in looked or digest not in behind:
            continue
        looked.add(digest)
        if behind[digest].kind in WEIGHTS:
            return True
        layer.extend(behind[digest].parents)
    return False


def spec_of(job_spec: Mapping[str, Any]) -> tuple[str, str, str]:
    """Candidate, base and model name of an evaluation's spec."""
    spec = job_spec["spec"]
    return spec["model"], spec["baseModel"], spec.get("modelName", "")
