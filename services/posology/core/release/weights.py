"""Which files of an artifact are weights: what a release policy, and a FAIL, follow."""

from pathlib import PurePosixPath

from posology.core.artifacts import Manifest

ENDINGS = frozenset({".safetensors", ".bin", ".pt", ".pth", ".gguf", ".h5", ".msgpack", ".npz"})


def weight_files(manifest: Manifest) -> tuple[str, ...]:
    """Hex sha256 of each weight file, sorted, each once."""
    weights = {f.sha256 for f in manifest.files if PurePosixPath(f.path).suffix.lower() in ENDINGS}
    return tuple(sorted(weights))
