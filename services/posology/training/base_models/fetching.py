"""Copying a base model from its source: only wanted files, checksums compared, nothing executed."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo, RepoSibling

from posology.core.errors import DataCorrupt, InvalidInput, NotFound, PermissionDenied, PosologyError, Unavailable
from posology.core.locations import AllowedLocations
from posology.training.base_models import architectures
from posology.training.base_models import folder as model_folder
from posology.training.base_models.locations import HubModel, LocalFolder

CONFIG = "config.json"
Progress = Callable[[float, float, str], None]


def from_folder(source: LocalFolder, into: Path, *, allowed: AllowedLocations) -> None:
    """Copy the wanted files; links that lead out of the allowed folders are refused."""
    paths = [path for path in sorted(source.path.iterdir()) if path.is_file()]
    model_folder.check_names([path.name for path in paths])
    for path in paths:
        if model_folder.wanted(path.name):
            allowed.check_path(path)
            shutil.copyfile(path, into / path.name)


def from_hub(source: HubModel, into: Path, *, endpoint: str | None, token: str | None, progress: Progress) -> None:
    """Download the wanted files of one commit; the hub's checksums of large files are compared."""
    try:
        files = _listed(source, endpoint=endpoint, token=token)
        total, done = float(sum(file.size or 0 for file in files)), 0.0
        for file in sorted(files, key=lambda one: one.rfilename != CONFIG):  # it says whether the rest is of use
            progress(done, total, file.rfilename)
            hf_hub_download(
                source.repository,
                file.rfilename,
                revision=source.revision,
                local_dir=into,
                endpoint=endpoint,
                token=token or False,
            )
            _compare(into / file.rfilename, file)
            if file.rfilename == CONFIG:
                architectures.check(model_folder.read_json(into / CONFIG))  # before the weights are fetched
            done += file.size or 0
        progress(total, total, "downloaded")
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        raise _translated(error, source, given_token=token is not None) from error
    shutil.rmtree(into / ".cache", ignore_errors=True)  # the client's own notes


def _listed(source: HubModel, *, endpoint: str | None, token: str | None) -> list[RepoSibling]:
    info: ModelInfo = HfApi(endpoint=endpoint, token=token or False).model_info(
        source.repository, revision=source.revision, files_metadata=True
    )
    if info.sha != source.revision:
        raise InvalidInput(f"{source.repository}: the hub answers commit {info.sha} for revision {source.revision}")
    files = [file for file in info.siblings or [] if "/" not in file.rfilename]
    model_folder.check_names([file.rfilename for file in files])
    return [file for file in files if model_folder.wanted(file.rfilename)]


def _compare(path: Path, file: RepoSibling) -> None:
    expected = file.lfs.sha256 if file.lfs else None
    if expected is None:
        return
    with path.open("rb") as data:
        checksum = hashlib.file_digest(data, "sha256").hexdigest()
    if checksum != expected:
        path.unlink()
        raise DataCorrupt(f"{file.rfilename} arrived with sha256 {checksum}, the hub says {expected}; fetch it again")


def _translated(error: Exception, source: HubModel, *, given_token: bool) -> PosologyError:
    """What the caller can do about a hub that says no."""
    name = f"hf://{source.repository}"
    if isinstance(error, GatedRepoError) or _status(error) in (401, 403):
        reason = "the token has no access to it" if given_token else "it needs a token"
        return PermissionDenied(f"{name}: {reason}; accept its licence on the hub and set credentialsSecret")
    if isinstance(error, RevisionNotFoundError):
        return NotFound(f"{name} has no commit {source.revision}")
    if isinstance(error, RepositoryNotFoundError) or _status(error) == 404:
        return NotFound(f"{name} is not on the hub, or it is private and needs credentialsSecret")
    return Unavailable(f"{name}: the hub cannot be reached ({type(error).__name__}: {str(error)[:200]})")


def _status(error: Exception) -> int:
    response = getattr(error, "response", None)
    return int(response.status_code) if response is not None else 0
