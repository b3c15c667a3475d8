"""What an attempt's pod sees of a volume that holds the stores: artifacts and its job's checkpoints to read, folders of
its own to write, and nothing else. All are made by the service, whom they then belong to as they do to the worker."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from posology.core.errors import FailedPrecondition
from posology.core.jobs.domain import checkpoint_prefix, staging_prefix
from posology.core.jobs.launchers.base import Launch
from posology.core.jobs.launchers.kubernetes.pods import PodSettings, Volume


@dataclass(frozen=True)
class Shown:
    """A folder `within` a volume (empty: all of it), and its path in the pod."""

    path: str
    within: str
    read_only: bool


def shown(launch: Launch, volume: Volume) -> list[Shown]:
    """Of one volume, outer folders first."""
    staging = _local(str(launch.assignment.get("staging", "")))
    if volume.read_only or staging is None or not staging.is_relative_to(volume.path):
        return [Shown(volume.path, "", volume.read_only)]
    checkpoints = staging / checkpoint_prefix(launch.job)
    own = [staging / staging_prefix(launch.job, launch.attempt), checkpoints / str(launch.attempt)]
    read = [*_stores(launch, volume), checkpoints]
    return [_within(volume, path, read_only=True) for path in read] + [
        _within(volume, path, read_only=False) for path in own
    ]


def make(launch: Launch, pods: PodSettings) -> None:
    """Make what is not there yet: what the kubelet makes for a mount is root's. Blocking."""
    for volume in pods.volumes:
        for folder in shown(launch, volume):
            if folder.within:
                _make(Path(folder.path))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fault = f"{folder} can't be made for a worker: {error.strerror}; does this service mount its volume, too?"
        raise FailedPrecondition(fault) from error


def _stores(launch: Launch, volume: Volume) -> Iterator[PurePosixPath]:
    for url in launch.assignment.get("stores", ()):
        folder = _local(url)
        if folder is not None and folder.is_relative_to(volume.path):
            yield folder


def _local(url: str) -> PurePosixPath | None:
    parts = urlsplit(url)
    return PurePosixPath(unquote(parts.path)) if parts.path and parts.scheme in {"", "file"} else None


def _within(volume: Volume, path: PurePosixPath, *, read_only: bool) -> Shown:
    return Shown(str(path), str(path.relative_to(volume.path)), read_only)
