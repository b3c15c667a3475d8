"""Putting a folder into a repository of a Hugging Face hub: $HF_ENDPOINT, with the token of $HF_TOKEN or a log-in."""

import re
from pathlib import Path

from posology.core.errors import FailedPrecondition, InvalidInput, PermissionDenied, Unavailable, Violation

_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def check(repository: str) -> None:
    """InvalidInput for what is no `owner/name`."""
    if not _REPOSITORY.fullmatch(repository):
        raise InvalidInput.of([Violation("--hub", f"must be OWNER/NAME of a repository, not {repository!r}")])


def upload(folder: Path, repository: str, *, private: bool, message: str) -> str:
    """Make the repository if there is none, and commit every file of the folder at once; the commit's address.

    Blocking. PermissionDenied without a token that may write there; Unavailable where the hub does not answer.
    """
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

    api = HfApi()
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    except LocalTokenNotFoundError as error:
        raise PermissionDenied("the hub wants a token: set HF_TOKEN, or log in with hf auth login") from error
    except HfHubHTTPError as error:
        raise _said(error, repository) from error
    except (httpx2.HTTPError, OSError) as error:
        raise Unavailable(f"the hub at {api.endpoint} does not answer: {error}") from error
    return str(commit.commit_url)


def _said(error: object, repository: str) -> FailedPrecondition | PermissionDenied | Unavailable:
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if status in (401, 403):
        return PermissionDenied(f"the hub lets this token not write to {repository} (HTTP {status}); see HF_TOKEN")
    if status >= 500 or status == 429:
        return Unavailable(f"the hub answered HTTP {status}; try again")
    return FailedPrecondition(f"the hub did not take {repository}: HTTP {status}")
