"""Where a base model may come from: three kinds of URI, an allow-list, and folders that may be read."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from posology.core.artifacts import check_digest
from posology.core.errors import InvalidInput, PermissionDenied, Violation
from posology.core.locations import AllowedLocations

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True)
class HubModel:
    """A repository on a Hugging Face hub at one commit."""

    repository: str
    revision: str


@dataclass(frozen=True)
class LocalFolder:
    """A folder on the machine of the service and its workers."""

    path: Path


@dataclass(frozen=True)
class Pushed:
    """An artifact that is there already."""

    digest: str


Source = HubModel | LocalFolder | Pushed


@dataclass(frozen=True)
class Rules:
    """What an installation allows: URI patterns (`hf://meta-llama/*`), and folders below which `file:` may read."""

    uris: Sequence[str] = ("hf://*", "file:*", "artifact:*")
    folders: Sequence[Path] = ()

    @property
    def locations(self) -> AllowedLocations:
        """The folders as an allow-list."""
        return AllowedLocations(tuple(self.folders), folders_setting="POSOLOGY_ALLOWED_MODEL_FOLDERS")


def parse(uri: str, revision: str, rules: Rules, *, at: str = "spec") -> Source:
    """The source of a URI, or an error that names the field and what is allowed."""
    if not any(fnmatchcase(uri, pattern) for pattern in rules.uris):
        raise PermissionDenied(
            f"{at}.uri: {uri} is not on this installation's list of sources ({', '.join(rules.uris)}); "
            "ask an operator to add it to POSOLOGY_ALLOWED_MODEL_URIS"
        )
    if uri.startswith("hf://"):
        return _hub(uri.removeprefix("hf://"), revision, at)
    if uri.startswith("file:"):
        return LocalFolder(allowed_folder(uri, rules.locations, at))
    if uri.startswith("artifact:"):
        return Pushed("sha256:" + check_digest(uri.removeprefix("artifact:")))
    raise InvalidInput.of(
        [Violation(f"{at}.uri", f"{uri} is none of hf://org/name, file:/path, artifact:sha256:<hex>")]
    )


def _hub(repository: str, revision: str, at: str) -> HubModel:
    violations = list(_hub_violations(repository, revision, at))
    if violations:
        raise InvalidInput.of(violations)
    return HubModel(repository, revision)


def _hub_violations(repository: str, revision: str, at: str) -> Iterator[Violation]:
    if not _REPOSITORY.fullmatch(repository):
        yield Violation(f"{at}.uri", f"hf://{repository} is not hf://org/name")
    if not _COMMIT.fullmatch(revision):
        problem = f"{revision!r} can move" if revision else "is missing"
        yield Violation(
            f"{at}.revision",
            f"{problem}; pin the commit, 40 hex digits (the model's page shows it under Files, History)",
        )


def allowed_folder(uri: str, allowed: AllowedLocations, at: str = "spec") -> Path:
    """The folder that a `file:` URI names, with links resolved; it must be one of those allowed, or below one."""
    folder = allowed.local(uri)
    if not folder.is_dir():
        raise InvalidInput.of([Violation(f"{at}.uri", f"{folder} is no folder on the machine of the training service")])
    return folder
