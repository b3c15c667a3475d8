"""Teachers write question/answer drafts from sections of labels.

`extractive` is embedded: deterministic, no model, answers are the label's own sentences. `openai` asks any
OpenAI-compatible API. Both are a `Teacher`; a third is one more file here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from posology.curation.domain import Message, Section

EXCERPT = "Excerpt: "
QUESTION = "\nQuestion: "


@dataclass(frozen=True)
class Draft:
    """A question/answer pair before any filter has seen it."""

    prompt: tuple[Message, ...]
    answer: str
    question_type: str
    evidence: str  # the sentence of the section that proves the answer
    filler: bool = False  # used only when all sections together have too little else


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


class Teacher(Protocol):
    """Writes drafts about sections."""

    @property
    def name(self) -> str:
        """Name and version, as the data card states it."""
        ...

    def teach(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """One answer per task, in the order of the tasks whatever finishes first."""
        ...


def asked(question: str) -> tuple[Message, ...]:
    """A conversation of one question."""
    return (Message("user", question),)


def open_book(excerpt: Iterable[str], question: str) -> tuple[Message, ...]:
    """A question with the text that answers it; small models can read what they cannot remember."""
    return asked(f"{EXCERPT}{' '.join(excerpt)}{QUESTION}{question}")


def is_open_book(prompt_text: str) -> bool:
    """Whether the question brings the text that answers it; such a pair teaches reading, not remembering."""
    return prompt_text.startswith(EXCERPT) and QUESTION in prompt_text


def bare_question(prompt_text: str) -> str:
    """The question without its excerpt: two questions are the same whatever excerpt they come with."""
    if is_open_book(prompt_text):
        return prompt_text.rsplit(QUESTION, 1)[1]
    return prompt_text
