"""Token ids under the model's own chat template, with the boundary between prompt and answer asserted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from posology.core.errors import InvalidInput
from posology.evaluation.suites import Question

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True)
class Split:
    """A conversation's token ids: what the model is given, and what it should continue with."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]


class Template:
    """A tokenizer and its chat template, as the model folder ships them."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        if not self._tokenizer.chat_template:
            raise InvalidInput(f"the model in {folder.name} has no chat template; add chat_template.jinja to it")

    def prompt(self, text: str) -> tuple[int, ...]:
        """A user's turn up to where the assistant begins."""
        return self._ids([{"role": "user", "content": text}], add_generation_prompt=True)

    def split(self, text: str, answer: str) -> Split:
        """Prompt and answer with its end of turn; InvalidInput when the answer changes tokens before it."""
        prompt = self.prompt(text)
        turns = [{"role": "user", "content": text}, {"role": "assistant", "content": answer}]
        whole = self._ids(turns, add_generation_prompt=False)
        if whole[: len(prompt)] != prompt or len(whole) == len(prompt):
            raise InvalidInput(
                "the chat template does not put an answer behind its own generation prompt token for token, so the "
                f"likelihood of an option is not defined (option {answer!r}); mend the template or score by LETTER"
            )
        return Split(prompt, whole[len(prompt) :])

    def letters(self, question: Question) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The listed question's prompt, and one token id for each option's letter; InvalidInput if not one each."""
        text = listed(question)
        splits = [self.split(text, letter) for letter in LETTERS[: len(question.choices)]]
        ids = tuple(split.answer[0] for split in splits)
        if len(set(ids)) < len(ids) or len({split.answer[1:] for split in splits}) > 1:
            raise InvalidInput(
                "the tokenizer does not make each letter one token where an answer starts; use OPTION_LIKELIHOOD"
            )
        return splits[0].prompt, ids

    def _ids(self, turns: Sequence[dict[str, str]], *, add_generation_prompt: bool) -> tuple[int, ...]:
        ids: Any = self._tokenizer.apply_chat_template(
            list(turns), add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=False
        )
        return tuple(ids)


def listed(question: Question) -> str:
    """Excerpt, question and lettered options, as the letter scoring asks."""
    options = "\n".join(f"{LETTERS[i]}. {choice}" for i, choice in enumerate(question.choices))
    return f"{question.prompt}\n\n{options}\n\nAnswer with the letter of the right option only."
