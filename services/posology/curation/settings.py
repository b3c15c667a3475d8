"""Curation's settings."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from posology.core.jobs.settings import JobSettings
from posology.core.locations import split_list
from posology.core.settings import PREFIX
from posology.curation.sources.location import Limits


class SourceSettings(BaseSettings):
    """What may be read; the service checks a request by it, and the worker reads by it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    allowed_source_folders: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders below which `file:` sources may lie, separated by colons; links are followed before it is judged."""
    allowed_source_uris: Annotated[tuple[str, ...], NoDecode] = ()
    """Prefixes of `s3:` sources that may be read, separated by commas, such as `s3://labels/`."""
    max_source_bytes: int = Field(default=100_000_000, ge=1)
    """Most bytes of one source file, also after unpacking; a larger one is refused without being read."""

    @field_validator("allowed_source_folders", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        return tuple(Path(part) for part in value.split(":") if part) if isinstance(value, str) else value

    @field_validator("allowed_source_uris", mode="before")
    @classmethod
    def _split_uris(cls, value: object) -> object:
        return split_list(value, ",")

    @property
    def limits(self) -> Limits:
        """As the readers want it."""
        return Limits(self.allowed_source_folders, self.allowed_source_uris, self.max_source_bytes)

    @property
    def environment(self) -> dict[str, str]:
        """The same settings for a worker process."""
        return {
            f"{PREFIX}ALLOWED_SOURCE_FOLDERS": ":".join(map(str, self.allowed_source_folders)),
            f"{PREFIX}ALLOWED_SOURCE_URIS": ",".join(self.allowed_source_uris),
            f"{PREFIX}MAX_SOURCE_BYTES": str(self.max_source_bytes),
        }


class Settings(SourceSettings, JobSettings):
    """Everything that the curation service reads."""

    service: ClassVar[str] = "curation"
    review_grace_seconds: float = Field(default=900, ge=0)
    """Seconds that a review stays open after its last rating, for changes, unless its reviewers confirm before."""
    feedback_erase_seconds: float = Field(default=300, gt=0)
    """How late what is erased in the gateway's record of an answer is erased in the review that shows it, seconds."""
