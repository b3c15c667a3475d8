"""Settings of the catalog, which lives in the orchestrator's process."""

from typing import ClassVar

from posology.core.settings import ServiceSettings


class Settings(ServiceSettings):
    """Environment -> settings; each variable is the upper-case field name after POSOLOGY_."""

    service: ClassVar[str] = "catalog"
