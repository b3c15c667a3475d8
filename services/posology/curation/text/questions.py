"""How a question is put to a model: bare, or with the excerpt that answers it."""

from collections.abc import Iterable

from posology.curation.domain import Message

EXCERPT = "Excerpt: "
QUESTION = "\nQuestion: "


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
