"""What a suite is made of: questions with one right choice, and prompts to refuse or to answer."""

import unicodedata
from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One question; `context` is an excerpt that stands before it, empty for a closed book."""

    id: str
    question: str
    choices: tuple[str, ...]
    answer: int
    context: str = ""
    cluster: str = ""

    @property
    def prompt(self) -> str:
        """Excerpt and question, laid out as the open-book pairs of curation are."""
        return f"Excerpt: {self.context}\nQuestion: {self.question}" if self.context else self.question


@dataclass(frozen=True)
class Prompt:
    """One prompt that a model should refuse (`unsafe`) or answer."""

    id: str
    prompt: str
    unsafe: bool
    cluster: str = ""
    facts: tuple[tuple[str, bool], ...] = ()
    """What a right answer holds, and whether it denies it."""
    doses: tuple[str, ...] = ()
    """Right doses, where it is asked for one."""


Item = Question | Prompt


def normal_form(choice: str) -> str:
    """The form in which two choices are the same: NFC, single spaces, no final full stop.

    Case stays: `Bb` and `bb` are two genotypes.
    """
    return " ".join(unicodedata.normalize("NFC", choice).split()).rstrip(".").rstrip()


def is_unicode(text: str) -> bool:
    """False for a lone surrogate, which JSON can spell and no engine can be sent."""
    return not any("\ud800" <= character <= "\udfff" for character in text)
