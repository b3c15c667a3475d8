"""Training's settings."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from posology.core.jobs.settings import JobSettings
from posology.core.locations import split_list
from posology.core.settings import PREFIX
from posology.training.base_models.locations import Rules


class ModelSourceSettings(BaseSettings):
    """Where base models may come from; the service checks a request by it, and the worker imports by it."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    allowed_model_uris: Annotated[tuple[str, ...], NoDecode] = ("hf://*", "file:*", "artifact:*")
    """Patterns of base model URIs, separated by commas, such as `hf://meta-llama/*`."""
    allowed_model_folders: Annotated[tuple[Path, ...], NoDecode] = ()
    """Folders below which `file:` models may lie, separated by colons; links are followed before it is judged.
    Empty means those of POSOLOGY_ALLOWED_SOURCE_FOLDERS."""
    allowed_source_folders: Annotated[tuple[Path, ...], NoDecode] = ()
    """Curation's setting of the same name."""
    hub_endpoint: str = ""
    """URL of a Hugging Face hub or mirror; empty means https://huggingface.co."""

    @field_validator("allowed_model_uris", mode="before")
    @classmethod
    def _split_uris(cls, value: object) -> object:
        return split_list(value, ",")

    @field_validator("allowed_model_folders", "allowed_source_folders", mode="before")
    @classmethod
    def _split_folders(cls, value: object) -> object:
        return split_list(value, ":")

    @property
    def rules(self) -> Rules:
        """As `sources.parse` wants it."""
        return Rules(self.allowed_model_uris, self.allowed_model_folders or self.allowed_source_folders)

    @property
    def environment(self) -> dict[str, str]:
        """The same settings for a worker process."""
        return {
            f"{PREFIX}ALLOWED_MODEL_URIS": ",".join(self.allowed_model_uris),
            f"{PREFIX}ALLOWED_MODEL_FOLDERS": ":".join(map(str, self.rules.folders)),
            f"{PREFIX}HUB_ENDPOINT": self.hub_endpoint,
        }


class Settings(ModelSourceSettings, JobSettings):
    """Everything that the training service reads."""

    service: ClassVar[str] = "training"

    device: str = ""
    """GPU of the node pool as its driver names it, such as `NVIDIA H100 80GB HBM3`; plans use its memory and speed."""
