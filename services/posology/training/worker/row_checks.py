"""What the base's own template and tokenizer make of each row: the faults that training would meet, all at once.

Preflight looks at every row before an expert reads it; SFT and DPO look again before weights are loaded.
"""

import signal
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from transformers import PreTrainedTokenizerBase

from posology.core.errors import InvalidInput, Violation
from posology.training.mixing import Mixture
from posology.training.worker import labels, tokens

Row = Mapping[str, Any]
SHOWN = 10
"""Rows of one kind of fault that a message names; the count says how many more there are."""
RENDER_SECONDS = 20.0
"""Longest time for one conversation: a template that loops must not hold a worker for ever."""

# Kinds of fault, in the order in which they are reported.
CONTENT, ROLES, TEMPLATE, STUCK, PROMPT, TURN, END, ANSWER, UNKNOWN, LENGTH = (
    "content", "roles", "template", "stuck", "prompt", "turn", "end", "answer", "unknown", "length",
)  # fmt: skip
FIELDS = {LENGTH: "spec.training.sft.maxLength", PROMPT: "spec.baseModel", END: "spec.baseModel"}
"""Which field of a run's spec a kind of fault is about; the others are about the rows."""


@dataclass(frozen=True)
class PlacedRow:
    """A row and where it stands: `file` as curation names it, `number` its line, from 1."""

    row: Row
    file: str = ""
    number: int = 0

    @property
    def label(self) -> str:
        """`train.jsonl row 3 (pair-7)`."""
        place = f"{self.file} row {self.number}".strip()
        name = self.row.get("id")
        return f"{place} ({name})" if name is not None else place


def placed(rows: Sequence[Row], file: str = "") -> list[PlacedRow]:
    """Rows by their order."""
    return [PlacedRow(row, file, number) for number, row in enumerate(rows, 1)]


def placed_in(mixture: Mixture) -> list[PlacedRow]:
    """The rows of a mixture, where their artifacts have them."""
    return [PlacedRow(place.row, place.file, place.number) for place in mixture.rows]


@dataclass(frozen=True)
class Fault:
    """One row's fault: its kind, what exactly, and what would mend it; `tokens` is its length where that counts."""

    kind: str
    row: PlacedRow
    detail: str
    remedy: str
    tokens: int = 0


@dataclass
class Examination:
    """What was seen of all rows. `lengths` counts tokens of prompt and answer, for the rows that render."""

    lengths: list[int] = field(default_factory=list)
    answer_tokens: int = 0
    faults: list[Fault] = field(default_factory=list)
    rewritten: list[PlacedRow] = field(default_factory=list)
    """Rows whose answers the tokenizer normalises: what is trained is not letter for letter what was reviewed."""
    think_block: str = ""
    """What the template puts between its generation prompt and an answer, empty for most."""

    @property
    def longest(self) -> int:
        return max(self.lengths, default=0)

    @property
    def mean(self) -> float:
        """Tokens of a row on average."""
        return sum(self.lengths) / len(self.lengths) if self.lengths else 0.0


def examine(
    tokenizer: PreTrainedTokenizerBase,
    stops: frozenset[int],
    rows: Iterable[PlacedRow],
    *,
    max_length: int = 0,
    every_answer: bool = False,
) -> Examination:
    """Render and tokenise every row, prompt alone and with its answer. `max_length` 0 allows any length;
    `every_answer` looks at the answers within the prompt too, as training with assistantOnlyLoss does."""
    examination = Examination()
    for each in rows:
        fault = _examine_one(tokenizer, stops, each, max_length, examination, every_answer=every_answer)
        if fault is not None:
            examination.faults.append(fault)
        if fault is not None and fault.kind == STUCK:
            break  # every further row would take as long
    return examination


def refuse(examination: Examination, **fields: str) -> None:
    """InvalidInput with a violation for each kind of fault; `fields` says which field of the spec a kind is about."""
    violations = list(violations_of(examination.faults, fields))
    if violations:
        raise InvalidInput.of(violations)


def check_template(tokenizer: PreTrainedTokenizerBase, stops: frozenset[int], rows: Sequence[Row]) -> None:
    """Refuse rows and templates that would silently teach the wrong thing, wherever in `rows` they stand."""
    refuse(examine(tokenizer, stops, placed(rows)), **FIELDS)


def violations_of(faults: Sequence[Fault], fields: Mapping[str, str]) -> Iterator[Violation]:
    """One violation for each kind and remedy, with its rows."""
    groups: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        detail = "" if fault.kind == LENGTH else fault.detail
        groups.setdefault((fault.kind, detail, fault.remedy), []).append(fault)
    for (kind, detail, remedy), group in groups.items():
        names = ", ".join(fault.row.label for fault in group[:SHOWN])
        more = f" and {len(group) - SHOWN} more" if len(group) > SHOWN else ""
        what = detail or _too_long(group)
        yield Violation(fields.get(kind, "dataset"), f"{what} ({_count(group)}: {names}{more}). {remedy}")


def _too_long(group: Sequence[Fault]) -> str:
    longest = max(group, key=lambda fault: fault.tokens)
    return f"{group[0].detail}, the longest has {longest.tokens} tokens ({longest.row.label})"


def _count(group: Sequence[Fault]) -> str:
    return f"{len(group)} row{'s' if len(group) > 1 else ''}"


def _examine_one(
    tokenizer: PreTrainedTokenizerBase,
    stops: frozenset[int],
    placed_row: PlacedRow,
    max_length: int,
    examination: Examination,
    *,
    every_answer: bool,
) -> Fault | None:
    """The first fault of a row, None for a good one; lengths and notes go into `examination`."""
    row = placed_row.row
    if (problem := _content_problem(row)) is not None:
        return Fault(CONTENT, placed_row, problem, "Write each message as {role, content} with text in content.")
    try:
        with _limited(RENDER_SECONDS):
            prompt = tokens.prompt_ids(tokenizer, row["prompt"])
            whole = tokens.conversation_ids(tokenizer, row)
    except TimeoutError:
        reason = f"the chat template took more than {RENDER_SECONDS:.0f} s to render a conversation"
        return Fault(STUCK, placed_row, reason, "Mend the template, or use another base model.")
    except Exception as error:  # noqa: BLE001 - templates raise what they like: jinja's errors, TypeErrors, their own refusals
        return _refused_by_template(tokenizer, placed_row, error)
    examination.lengths.append(len(whole))
    examination.answer_tokens += len(whole) - len(prompt)
    if whole[: len(prompt)] != prompt:
        return _renders_differently(tokenizer, placed_row, prompt)
    try:
        spans = labels.answer_spans(tokenizer, row, whole, every=every_answer, prompt=prompt)
    except labels.TurnChanges as changes:
        return Fault(TURN, placed_row, changes.message, "Leave assistantOnlyLoss out, or use another base model.")
    answer_ids = whole[len(prompt) :]
    if not all(stops & set(whole[start:end]) for start, end in spans):
        return Fault(
            END,
            placed_row,
            "the chat template does not end the assistant's turn with a token at which generation stops "
            f"({tokens.names_of(tokenizer, stops)}), so the model would never learn to stop",
            "Add the end-of-turn token to the template, or name it in generation_config.json as eos_token_id.",
        )
    fault = _answer_fault(tokenizer, placed_row, answer_ids, examination)
    if fault is None and max_length and len(whole) > max_length:
        return Fault(
            LENGTH,
            placed_row,
            f"longer than maxLength {max_length}",
            "Raise maxLength, or let curation make shorter ones: a cut answer would lose its end of turn.",
            len(whole),
        )
    return fault


def _content_problem(row: Row) -> str | None:
    """What is wrong with a row before any template sees it."""
    for part in ("prompt", "completion"):
        messages = row.get(part)
        if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
            return f"{part} is no list of messages"
        for message in messages:
            if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
                return f"a message of {part} has no role"
            content = message.get("content")
            if content is None:
                return f"a message of {part} has no content (null)"
            if not isinstance(content, str):
                return f"the content of a message of {part} is a {type(content).__name__}, not text"
    if row["completion"][-1]["role"] != "assistant":
        return f"the completion ends with a message of {row['completion'][-1]['role']}, not of the assistant"
    if not str(row["completion"][-1]["content"]).strip():
        return "the answer is empty"
    return None


def _refused_by_template(tokenizer: PreTrainedTokenizerBase, placed_row: PlacedRow, error: Exception) -> Fault:
    """The template's refusal in words: which role it is about, by trying the conversation without it."""
    row = placed_row.row
    roles = [str(message["role"]) for message in [*row["prompt"], *row["completion"]]]
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    without = {**row, "prompt": [message for message in row["prompt"] if message["role"] != "system"]}
    if "system" in roles and len(without["prompt"]) and _renders(tokenizer, without):
        return Fault(
            ROLES,
            placed_row,
            f"the base model's chat template takes no system message: {reason}",
            "Put the system text into the first user turn (the cheapest), or use a base model whose template takes it.",
        )
    turns = [role for role in roles if role != "system"]
    repeated = next((first for first, second in pairwise(turns) if first == second), None)
    if repeated is not None:
        return Fault(
            ROLES,
            placed_row,
            f"the base model's chat template wants user and assistant to take turns, and two {repeated} messages "
            f"follow each other: {reason}",
            "Join the messages of one role that follow each other, or use another base model.",
        )
    unusual = sorted(set(roles) - {"system", "user", "assistant"})
    named = f" (roles here: {', '.join(roles)})" if unusual else ""
    return Fault(
        ROLES if unusual else TEMPLATE,
        placed_row,
        f"the base model's chat template refuses the conversation{named}: {reason}",
        "Change these rows to what the template takes, or use another base model.",
    )


def _renders(tokenizer: PreTrainedTokenizerBase, row: Row) -> bool:
    try:
        tokens.conversation_ids(tokenizer, row)
    except Exception:  # noqa: BLE001 - the same refusals as above
        return False
    return True


def _renders_differently(tokenizer: PreTrainedTokenizerBase, placed_row: PlacedRow, prompt: Sequence[int]) -> Fault:
    opened = tokenizer.decode(list(prompt[-16:]), skip_special_tokens=False)
    example = "an empty think block" if "think" in opened else "white space or a block before the answer"
    return Fault(
        PROMPT,
        placed_row,
        f"the chat template renders a prompt differently once the answer follows (here: {example}), so the model would "
        "be trained on a context that it never sees when it serves",
        "Use a template that renders both the same way.",
    )


def _answer_fault(
    tokenizer: PreTrainedTokenizerBase, placed_row: PlacedRow, answer_ids: Sequence[int], examination: Examination
) -> Fault | None:
    """The tokens under the loss against the text of the answer, as the tokenizer itself writes that text."""
    answer = str(placed_row.row["completion"][-1]["content"]).strip()
    decoded = tokens.decode(tokenizer, answer_ids)
    unknown = getattr(tokenizer, "unk_token_id", None)
    if unknown is not None and unknown in answer_ids and unknown not in (tokenizer.pad_token_id,):
        return Fault(
            UNKNOWN,
            placed_row,
            "the tokenizer has no token for a part of the answer, so the model would learn to write "
            f"{tokenizer.unk_token}",
            "Drop or rewrite what it cannot write, or use another base model.",
        )
    position = decoded.find(answer)
    if position < 0:
        if not tokens.holds_answer(tokenizer, answer_ids, answer):
            return Fault(
                ANSWER,
                placed_row,
                "the tokens under the loss are not the row's answer; the chat template changes it",
                "Change what the template strips or rewrites (for example think tags), or use another base model.",
            )
        examination.rewritten.append(placed_row)
        return None
    if not examination.think_block and "think" in decoded[:position]:
        examination.think_block = decoded[:position].strip()
    return None


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """TimeoutError after `seconds`, where this thread may have a timer (the main one)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
