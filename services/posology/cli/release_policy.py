"""The release policy of an installation on this machine: signed at `up`, kept if somebody signed another."""

from pathlib import Path

import yaml

from posology.core import signing
from posology.core.canonical import canonical_json
from posology.core.errors import InvalidInput
from posology.core.files import write_atomically
from posology.core.release import document
from posology.core.release.document import FILE, KEY
from posology.core.release.domain import ReleasePolicy

DEVELOPMENT = document.DEVELOPMENT


def ensure(data_dir: Path, chosen: Path | None = None) -> str:
    """Sign `chosen`, or the development policy unless another one is signed there; the name of what counts now."""
    if chosen is None:
        present = _present(data_dir)
        if present is not None and present.name != DEVELOPMENT:
            return present.name
    origin = str(chosen) if chosen else f"the {DEVELOPMENT} policy"
    text = _read(chosen) if chosen else document.development()
    return sign(text, origin=origin, key=data_dir / "keys" / f"{KEY}.key", to=data_dir / FILE)


def sign(text: str, *, origin: str, key: Path, to: Path) -> str:
    """Sign a policy's YAML with the key, which is made on first use, and write the envelope; its name."""
    name, spec = document.parse(text, origin=origin)
    write_atomically(to, canonical_json(document.sign(name, spec, signing.Signer.load_or_create(key))))
    return name


def sign_manifest(text: str, *, origin: str, key: Path, to: Path) -> str:
    """Likewise, as the custom resource that `kubectl apply` takes."""
    name, spec = document.parse(text, origin=origin)
    envelope = document.sign(name, spec, signing.Signer.load_or_create(key))
    write_atomically(to, yaml.safe_dump(document.manifest(name, spec, envelope), sort_keys=False, width=120))
    return name


def _present(data_dir: Path) -> ReleasePolicy | None:
    try:
        return document.load(data_dir / FILE, document.keys_in(data_dir / "keys", (), KEY))
    except document.NoPolicy:
        return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} can't be read: {error}") from error
