"""Teachers write question/answer drafts from sections of labels.

`extractive` is embedded: deterministic, no model, answers are the label's own sentences. `openai` asks any
OpenAI-compatible API. Both are a `Teacher`; a third is one more file here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from posology.curation.domain import Message, Section


@dataclass(frozen=True)
class Draft:
    """A question/answer pair before any filter has seen it."""

    prompt: tuple[Message, ...]
    answer: str
    question_type: str
    evidence: str  # the sentence of the section that proves the answer
    filler: bool = False  # used only when all sections together have too little else
    audience: str = ""  # who it is written for; "" = nobody in particular


@dataclass(frozen=True)
class Task:
    """One section to write about, with the other sections of its label as context."""

    section: Section
    siblings: tuple[Section, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What a teacher made of one task; `failure` says why there is nothing ("timeout", "refused", "nonsense")."""

    task: Task
    drafts: tuple[Draft, ...] = ()
    failure: str = ""
    detail: str = ""
    rejected: tuple[tuple[Draft, str], ...] = ()  # drafts that were checked and found wrong, as "reason: detail"


class Teacher(Protocol):
    """Writes drafts about sections."""

    @property
    def name(self) -> str:
        """Name and version, as the data card states it."""
        ...

    def teach(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """One answer per task, in the order of the tasks whatever finishes first."""
        ...
