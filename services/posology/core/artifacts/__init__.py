"""Content-addressed, immutable artifacts over a folder or an object store."""

from posology.core.artifacts.collect import Collected
from posology.core.artifacts.manifest import KINDS, File, Manifest, check_digest
from posology.core.artifacts.staging import Staging, describe
from posology.core.artifacts.store import ArtifactStore

__all__ = ["KINDS", "ArtifactStore", "Collected", "File", "Manifest", "Staging", "check_digest", "describe"]
