"""Checkpoints that can be trusted: each carries a list of its files with checksums, and a damaged one is passed over.

Without the list, a missing optimizer.pt or rng_state.pth resumes without a word and drifts.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

FILE_LIST = "checkpoint.sha256.json"
PREFIX = "checkpoint-"


def seal(folder: Path) -> None:
    """Write the file list, last and atomically: a checkpoint without one was never finished."""
    sums = {str(path.relative_to(folder)): _sha256(path) for path in _files(folder)}
    draft = folder / f"{FILE_LIST}.draft"
    with draft.open("w") as out:
        json.dump(sums, out, indent=1, sort_keys=True)
        out.flush()
        os.fsync(out.fileno())
    draft.replace(folder / FILE_LIST)


def damage(folder: Path) -> str | None:
    """What is wrong with a checkpoint, or None when every file is what it was when it was sealed."""
    listed = folder / FILE_LIST
    if not listed.exists():
        return "it was never finished"
    try:
        sums: dict[str, str] = json.loads(listed.read_text())
    except ValueError:
        return f"{FILE_LIST} is not readable"
    for name, expected in sums.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if _sha256(folder / name) != expected:
            return f"{name} has changed"
    return None


def newest_intact(directory: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint to resume from, and why newer ones were passed over (those are moved aside)."""
    passed_over: list[str] = []
    for folder in sorted(directory.glob(f"{PREFIX}*"), key=step_of, reverse=True):
        reason = damage(folder)
        if reason is None:
            return folder, passed_over
        passed_over.append(f"{folder.name}: {reason}")
        _set_aside(folder)
    return None, passed_over


def step_of(folder: Path) -> int:
    """The optimiser step at which a checkpoint was taken."""
    return int(folder.name.removeprefix(PREFIX))


def _set_aside(folder: Path) -> None:
    """Out of the way of the trainer's own rotation, which would count it among the good ones."""
    target = folder.with_name(f"damaged-{folder.name}")
    if target.exists():
        shutil.rmtree(target)
    folder.rename(target)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(FILE_LIST):
            yield path


def _sha256(path: Path) -> str:
    with path.open("rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()
