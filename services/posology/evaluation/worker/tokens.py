"""Token ids under the model's own chat template, with the boundary between prompt and answer asserted."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from posology.core.errors import InvalidInput
from posology.evaluation.suites import Question

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
Shots = Sequence[tuple[str, str]]
"""Questions with their answers, as turns before the question."""


@dataclass(frozen=True)
class Split:
    """A conversation's token ids: what the model is given, and what it should continue with.

    The last `end` ids of `answer` are the template's end of turn.
    """

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    end: int = 0


class Template:
    """A tokenizer and its chat template, as the model folder ships them."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        if not self._tokenizer.chat_template:
            raise InvalidInput(f"the model in {folder.name} has no chat template; add chat_template.jinja to it")
        self._opened: tuple[tuple[str, tuple[tuple[str, str], ...]], list[tuple[int, ...]]] | None = None
        self._thought: tuple[int, ...] | None = None
        self._turn_end: tuple[int, ...] | None = None

    @property
    def eos(self) -> str:
        """The tokenizer's own end of sequence, empty without one."""
        return str(self._tokenizer.eos_token or "")

    def prompt(self, text: str, shots: Shots = ()) -> tuple[int, ...]:
        """A user's turn up to where the assistant begins."""
        return self._ids(_turns(text, shots), add_generation_prompt=True)

    def conversation(self, text: str, answer: str, shots: Shots = ()) -> tuple[int, ...]:
        """Prompt, answer, and the end of the answer's turn."""
        return self._ids([*_turns(text, shots), {"role": "assistant", "content": answer}], add_generation_prompt=False)

    def render(self, turns: Sequence[dict[str, str]], *, add_generation_prompt: bool) -> str:
        """A conversation as text, special tokens written out."""
        return str(
            self._tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=add_generation_prompt
            )
        )

    def encode(self, text: str) -> list[int]:
        """Token ids of a rendered text; nothing is added to it."""
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def turn_end(self, answer: str) -> tuple[int, ...]:
        """What the template puts behind an answer: the common end of two conversations that end in other words."""
        one, other = (self.conversation("Question?", text)[::-1] for text in (answer, f"{answer} Yes"))
        return _shared([one, other])[::-1]

    def split(self, text: str, answer: str, shots: Shots = ()) -> Split:
        """Prompt and answer with its end of turn; InvalidInput when the answer changes tokens before it.

        An empty think block that the template puts before every finished answer belongs to the prompt.
        """
        whole = self.conversation(text, answer, shots)
        opened = next((p for p in self._openings(text, shots) if whole[: len(p)] == p and len(whole) > len(p)), None)
        if opened is None:
            raise InvalidInput(
                "the chat template does not put an answer behind its own generation prompt token for token "
                f"(it ends in {self._shown(self.prompt(text, shots)[-6:])!r}), so the likelihood of an option is not "
                f"defined (option {answer!r}); mend the template or score by LETTER"
            )
        thought = self._empty_thought()
        prompt = opened + thought if whole[len(opened) :][: len(thought)] == thought else opened
        return Split(prompt, whole[len(prompt) :], min(len(self._end()), len(whole) - len(prompt)))

    def letters(self, question: Question, shots: Shots = ()) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The listed question's prompt, and one token id for each option's letter; InvalidInput if not one each.

        The prompt is all that the finished answers share, an empty think block included: the letter stands behind it.
        """
        text = listed(question)
        wholes = [self.conversation(text, letter, shots) for letter in LETTERS[: len(question.choices)]]
        prompt = _shared(wholes)
        asked = self._ids(_turns(text, shots), add_generation_prompt=False)
        ids = tuple(whole[len(prompt)] if len(whole) > len(prompt) else -1 for whole in wholes)
        tails = {whole[len(prompt) + 1 :] for whole in wholes}
        if prompt[: len(asked)] != asked or len(set(ids)) < len(ids) or -1 in ids or len(tails) > 1:
            raise InvalidInput(
                "the template and tokenizer do not make each letter one token where an answer starts, behind "
                f"{self._shown(prompt[len(asked) :])!r}; use OPTION_LIKELIHOOD"
            )
        return prompt, ids

    def shot(self, question: Question, *, letter: bool) -> tuple[str, str]:
        """The question and its right answer as turns of a conversation."""
        if letter:
            return listed(question), LETTERS[question.answer]
        return question.prompt, question.choices[question.answer]

    def _openings(self, text: str, shots: Shots) -> list[tuple[int, ...]]:
        """Where an answer may begin: the generation prompt, and that without thoughts where the template has one."""
        key = (text, tuple(shots))
        if self._opened is None or self._opened[0] != key:  # the options of one question come one after the other
            plain = self.prompt(text, shots)
            quiet = self._ids(_turns(text, shots), add_generation_prompt=True, enable_thinking=False)
            self._opened = key, [plain] if quiet == plain else [quiet, plain]
        return self._opened[1]

    def _empty_thought(self) -> tuple[int, ...]:
        """The think block that the template puts between its generation prompt and every finished answer, if any."""
        if self._thought is None:
            opened = self.prompt("Question?")
            one, other = (self.conversation("Question?", text)[len(opened) :] for text in ("A", "10"))
            shared = _shared([one, other])
            self._thought = shared if "think>" in self._shown(shared) else ()
        return self._thought

    def _end(self) -> tuple[int, ...]:
        if self._turn_end is None:
            self._turn_end = self.turn_end("A")
        return self._turn_end

    def _shown(self, ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(ids), clean_up_tokenization_spaces=False))

    def _ids(self, turns: Sequence[dict[str, str]], *, add_generation_prompt: bool, **options: Any) -> tuple[int, ...]:
        ids: Any = self._tokenizer.apply_chat_template(
            list(turns), add_generation_prompt=add_generation_prompt, tokenize=True, return_dict=False, **options
        )
        return tuple(ids)


def _turns(text: str, shots: Shots) -> list[dict[str, str]]:
    before = [
        turn
        for question, answer in shots
        for turn in ({"role": "user", "content": question}, {"role": "assistant", "content": answer})
    ]
    return [*before, {"role": "user", "content": text}]


def _shared(sequences: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """The longest common beginning."""
    first, last = min(sequences), max(sequences)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:length]


def listed(question: Question) -> str:
    """Excerpt, question and lettered options, as the letter scoring asks."""
    options = "\n".join(f"{LETTERS[i]}. {choice}" for i, choice in enumerate(question.choices))
    return f"{question.prompt}\n\n{options}\n\nAnswer with the letter of the right option only."
