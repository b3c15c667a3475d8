"""Which tokens of a conversation the loss falls on: whole answers with their ends of turn, and nothing else."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from posology.core.errors import InvalidInput
from posology.training.worker import tokens

IGNORED = tokens.IGNORED
Row = Mapping[str, Any]
Span = tuple[int, int]


class TurnChanges(InvalidInput):
    """The template renders a turn otherwise once the conversation goes on, so no later context shows what was said."""


def answer_spans(
    tokenizer: PreTrainedTokenizerBase,
    row: Row,
    whole: Sequence[int],
    *,
    every: bool = False,
    prompt: Sequence[int] | None = None,
) -> list[Span]:
    """(first token, one past the last) of each answer in `whole`, the tokens of the row's conversation.

    The answers of the completion, or with `every` those of the prompt too. An answer lasts to where the next turn
    begins. `prompt` are the tokens of the row's prompt, if they are known. TurnChanges where the template writes an
    earlier turn in another way than it would have been served.
    """
    messages = [*row["prompt"], *row["completion"]]
    first = 0 if every else len(row["prompt"])
    spans = []
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or index < first:
            continue
        known = prompt if index == len(row["prompt"]) else None
        opened = tokens.prompt_ids(tokenizer, messages[:index]) if known is None else list(known)
        closed = whole if index == len(messages) - 1 else tokens.rendered_ids(tokenizer, messages[: index + 1])
        if list(whole[: len(opened)]) != opened or list(whole[: len(closed)]) != list(closed):
            raise TurnChanges(
                f"the chat template renders turn {index + 1} differently once the conversation goes on, so the loss "
                "cannot fall on it as it was served"
            )
        spans.append((len(opened), len(closed)))
    if any(end > start for (_, end), (start, _) in pairwise(spans)):
        raise TurnChanges("the chat template lets answers overlap")
    return spans


def labelled(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], *, every: bool = False) -> Dataset:
    """`input_ids` and `labels` of each row, in order: in memory, so that no cache of another run answers instead."""
    items = []
    for row in rows:
        ids = tokens.conversation_ids(tokenizer, row)
        labels = [IGNORED] * len(ids)
        for start, end in answer_spans(tokenizer, row, ids, every=every):
            labels[start:end] = ids[start:end]
        items.append({"input_ids": ids, "labels": labels})
    return Dataset.from_list(items)


def check(
    dataset: Any,
    rows: Sequence[Row],
    tokenizer: PreTrainedTokenizerBase,
    stops: frozenset[int],
    *,
    every: bool = False,
    sample: int = 64,
) -> dict[str, int]:
    """Assert on the very labels that the trainer will use that the loss falls on answers and ends of turn only.

    `dataset[i]` holds the `input_ids` and `labels` of `rows[i]`. Returns the token counts of the sample.
    """
    if len(dataset) != len(rows):
        raise InvalidInput(f"the trainer kept {len(dataset)} of {len(rows)} rows; shorten the longest answers")
    counts = {"examples": 0, "prompt_tokens": 0, "loss_tokens": 0}
    for index in range(0, len(rows), max(1, len(rows) // sample)):
        row, item = rows[index], dataset[index]
        spans = answer_spans(tokenizer, row, item["input_ids"], every=every)
        _check_one(item["input_ids"], item["labels"], spans, row, tokenizer, stops, every=every)
        counts["examples"] += 1
        counts["prompt_tokens"] += spans[0][0]
        counts["loss_tokens"] += sum(label != IGNORED for label in item["labels"])
    return counts


def _check_one(
    ids: Sequence[int],
    labels: Sequence[int],
    spans: Sequence[Span],
    row: Row,
    tokenizer: PreTrainedTokenizerBase,
    stops: frozenset[int],
    *,
    every: bool,
) -> None:
    name = row.get("id", "a row")
    messages = [*row["prompt"], *row["completion"]] if every else row["completion"]
    answers = [str(message["content"]).strip() for message in messages if message["role"] == "assistant"]
    if len(answers) != len(spans):
        raise InvalidInput(f"{name}: {len(answers)} answers, and the loss would fall on {len(spans)}")
    covered = {position for start, end in spans for position in range(start, end)}
    if any(label != IGNORED for position, label in enumerate(labels) if position not in covered):
        raise InvalidInput(f"{name}: the loss would fall on the prompt; the chat template and the data disagree")
    for (start, end), answer in zip(spans, answers, strict=True):
        if list(labels[start:end]) != list(ids[start:end]):
            raise InvalidInput(f"{name}: a part of the answer is left out of the loss; check the chat template")
        if answer not in tokens.decode(tokenizer, ids[start:end]) and not tokens.holds_answer(
            tokenizer, ids[start:end], answer
        ):
            raise InvalidInput(f"{name}: the tokens under the loss are not its answer; check the chat template")
        if not stops & set(labels[start:end]):
            raise InvalidInput(f"{name}: the end of turn is not under the loss, so the model would never learn to stop")
