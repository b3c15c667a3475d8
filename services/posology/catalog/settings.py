"""Settings of the catalog, which lives in the orchestrator's process."""

from typing import ClassVar

from pydantic import Field

from posology.core.settings import ServiceSettings


class Settings(ServiceSettings):
    """Environment -> settings; each variable is the upper-case field name after POSOLOGY_."""

    service: ClassVar[str] = "catalog"

    deny_list_seconds: float = Field(default=1.0, gt=0)
    """How often to look for what the deny-list lacks; a withdrawal by this process's own calls is in it at once."""
