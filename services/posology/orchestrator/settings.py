"""Settings of the orchestrator (and of the catalog beside it)."""

from typing import ClassVar

from pydantic import Field

from posology.core.settings import ServiceSettings


class Settings(ServiceSettings):
    """Environment -> settings; each variable is the upper-case field name after POSOLOGY_."""

    service: ClassVar[str] = "orchestrator"

    lease_seconds: float = Field(default=4.0, gt=0)
    """A replica that vanished is taken over after this time."""
    poll_seconds: float = Field(default=0.3, gt=0)
    """How often to look for runs that another replica admitted or let go."""
    concurrency: int = Field(default=8, ge=1)
    """Runs that one replica looks at side by side."""
    review_poll_seconds: float = Field(default=2.0, gt=0)
    """How often to ask curation for reviews that ended."""
