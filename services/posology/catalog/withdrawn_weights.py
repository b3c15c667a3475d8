"""Which weight files a withdrawal takes along, so that the same bytes under another name are withdrawn as well."""

from collections.abc import Iterable

from posology.core.artifacts import ArtifactStore, Manifest
from posology.core.errors import DataCorrupt, NotFound
from posology.core.release.weights import weight_files

MODELS = ("base-model", "model")
"""Kinds of artifact that hold whole weights."""


def weight_files_of_its_own(store: ArtifactStore, digest: str) -> tuple[str, ...]:
    """`sha256:<hex>` of each weight file of an artifact, without those that it took over from what it was made from.

    A shard that tuning left alone is good for others. Nothing where the bytes are gone. Blocking.
    """
    manifest = _manifest(store, digest)
    if manifest is None:
        return ()
    inherited: set[str] = set()
    for parent in manifest.parents:
        above = _manifest(store, parent)
        inherited.update(weight_files(above) if above else ())
    return tuple(f"sha256:{file}" for file in weight_files(manifest) if file not in inherited)


def all_weight_files(store: ArtifactStore, digests: Iterable[str]) -> frozenset[str]:
    """`sha256:<hex>` of each weight file that any of these artifacts holds. Blocking."""
    manifests = (_manifest(store, digest) for digest in digests)
    return frozenset(f"sha256:{file}" for one in manifests if one is not None for file in weight_files(one))


def _manifest(store: ArtifactStore, digest: str) -> Manifest | None:
    try:
        return store.manifest(digest)
    except (NotFound, DataCorrupt):
        return None
