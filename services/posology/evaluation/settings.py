"""Settings of the evaluation service."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import NoDecode

from posology.core.jobs.settings import JobSettings
from posology.core.locations import split_list
from posology.core.release import document
from posology.core.release.domain import ReleasePolicy
from posology.core.signing import PublicKey
from posology.evaluation.sources import Allowed


class Settings(JobSettings):
    """Environment -> settings; each variable is the upper-case field name after POSOLOGY_."""

    service: ClassVar[str] = "evaluation"

    allowed_source_folders: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders below which `file:` suites may lie, separated by `:`; none by default."""
    allowed_source_uris: Annotated[tuple[str, ...], NoDecode] = ()
    """Prefixes below which `s3:` suites may lie, separated by commas; none by default."""
    engine_cache_dir: Path | None = None
    """Compiled modules and kernels of engines; by default in the user's cache folder."""
    engine_threads: int = Field(default=0, ge=0)
    """Threads of an engine on a CPU; 0 takes all that the worker may use."""
    engine_kv_cache_gib: int = Field(default=1, ge=1)
    """Memory of an engine for keys and values on a CPU, GiB."""
    requests_in_flight: int = Field(default=16, ge=1)
    """Requests that a worker has open to its engine."""

    @field_validator("allowed_source_folders", mode="before")
    @classmethod
    def _folders(cls, value: object) -> object:
        return split_list(value, ":")

    @field_validator("allowed_source_uris", mode="before")
    @classmethod
    def _prefixes(cls, value: object) -> object:
        return split_list(value, ",")

    @property
    def allowed(self) -> Allowed:
        """What suites may be read from."""
        return Allowed(self.allowed_source_folders, self.allowed_source_uris)

    def release_policy_of(self) -> ReleasePolicy:
        """The installation's policy, read anew; NoPolicy when there is none to be believed."""
        return document.load(
            self.release_policy_file, document.keys_in(self.keys_dir, self.release_policy_keys, document.KEY)
        )

    def trusted_review_keys(self) -> list[PublicKey]:
        """Whose ratings of answers count: those named, or curation's own in the keys folder; read anew."""
        return [PublicKey.load(key) for key in document.keys_in(self.keys_dir, self.review_keys, "curation")]

    def worker_environment(self) -> dict[str, str]:
        """What a worker reads of these settings; never a key."""
        values = {
            "POSOLOGY_ENGINE_PYTHON": self.engine_python,
            "POSOLOGY_ENGINE_CACHE_DIR": str(self.engine_cache_dir or ""),
            "POSOLOGY_ENGINE_THREADS": str(self.engine_threads),
            "POSOLOGY_ENGINE_KV_CACHE_GIB": str(self.engine_kv_cache_gib),
            "POSOLOGY_REQUESTS_IN_FLIGHT": str(self.requests_in_flight),
        }
        return {name: value for name, value in values.items() if value}
