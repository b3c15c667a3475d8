"""What users said of answers. Standard library only."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

KIND = "feedback"
"""Kind of a review whose items are answers; no artifact is behind it."""
ERASED = "[erased]"
"""What stands in an item once the answer's own record holds no text any more."""


class Thumb(StrEnum):
    """What was said."""

    UP = "UP"
    DOWN = "DOWN"


@dataclass(frozen=True)
class Mark:
    """One user's word on one answer; the answer's text is the gateway's alone."""

    namespace: str
    answer: str
    """Full name of the answer."""
    author: str
    thumb: Thumb
    comment: str
    model_name: str
    at: datetime
    has_text: bool
    review: str = ""
    """Name of the review that has the answer."""


@dataclass(frozen=True)
class Text:
    """What the gateway's record of an answer holds: prompt as JSON, and the answer."""

    prompt: str
    text: str
    model_name: str = ""

    @property
    def kept(self) -> bool:
        """Whether there is anything to judge: records hold hashes alone unless the installation says otherwise."""
        return bool(self.prompt and self.text)
