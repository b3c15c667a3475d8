"""The model's own chat template, and the proof that the loss falls on the answer and its end of turn only."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from posology.core.errors import InvalidInput

IGNORED = -100
FIELDS = {"length": "spec.training.sft.maxLength", "prompt": "spec.baseModel", "end": "spec.baseModel"}
"""Which field of a run's spec a kind of fault is about; the others are about the rows."""
Row = Mapping[str, Any]


def open_tokenizer(model: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model folder; a model without a chat template is refused."""
    tokenizer = AutoTokenizer.from_pretrained(str(model))
    if not tokenizer.chat_template:
        raise InvalidInput(
            "the base model has no chat template, so there is no telling where an answer starts and ends; "
            "use an instruct model, or add chat_template.jinja to the model folder and import it again"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def stop_ids(tokenizer: PreTrainedTokenizerBase, model: Path) -> frozenset[int]:
    """The token ids at which generation stops: those of generation_config.json and the tokenizer's own."""
    stops = {tokenizer.eos_token_id} if tokenizer.eos_token_id is not None else set()
    settings = model / "generation_config.json"
    if settings.exists():
        listed = json.loads(settings.read_text()).get("eos_token_id")
        stops.update(listed if isinstance(listed, list) else [listed] if listed is not None else [])
    if not stops:
        raise InvalidInput("the base model names no end-of-sequence token; set eos_token in tokenizer_config.json")
    return frozenset(stops)


def prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Mapping[str, str]]) -> list[int]:
    """What the engine will see before it answers."""
    return _ids(tokenizer.apply_chat_template(list(prompt), add_generation_prompt=True, tokenize=True))


def conversation_ids(tokenizer: PreTrainedTokenizerBase, row: Row) -> list[int]:
    """Prompt and answer as one conversation."""
    return _ids(tokenizer.apply_chat_template([*row["prompt"], *row["completion"]], tokenize=True))


def _ids(rendered: Any) -> list[int]:
    return list(rendered["input_ids"] if isinstance(rendered, Mapping) else rendered)


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of token ids as it went in: every Llama 3 tells its tokenizer to drop spaces before punctuation."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def holds_answer(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], answer: str) -> bool:
    """Whether `ids` are those of a text with `answer`, as a tokenizer that normalises (case, NFKC) writes it."""
    normalised = decode(tokenizer, tokenizer(answer, add_special_tokens=False)["input_ids"]).strip()
    return bool(normalised) and normalised in decode(tokenizer, ids)


def check_template(tokenizer: PreTrainedTokenizerBase, stops: frozenset[int], rows: Sequence[Row]) -> None:
    """Refuse rows and templates that would silently teach the wrong thing, wherever in `rows` they stand."""
    from posology.training.worker import row_checks

    row_checks.refuse(row_checks.examine(tokenizer, stops, row_checks.placed(rows)), **FIELDS)


def check_lengths(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], max_length: int) -> int:
    """Tokens of the longest row; rows over `max_length` are an error, since a cut answer loses its end of turn."""
    lengths = [len(conversation_ids(tokenizer, row)) for row in rows]
    over = [number for number, length in enumerate(lengths, 1) if length > max_length]
    if over:
        listed = ", ".join(map(str, over[:10]))
        raise InvalidInput(
            f"{len(over)} of {len(rows)} rows are longer than maxLength {max_length} (rows {listed}), "
            f"the longest has {max(lengths)} tokens; raise maxLength, or let curation make shorter ones"
        )
    return max(lengths)


def check_labels(
    dataset: Any, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, stops: frozenset[int], *, sample: int = 64
) -> dict[str, int]:
    """Assert on the very labels that the trainer will use that the loss falls on answer and end of turn only.

    `dataset[i]` holds the `input_ids` and `labels` of `rows[i]`. Returns the token counts of the sample.
    """
    if len(dataset) != len(rows):
        raise InvalidInput(f"the trainer kept {len(dataset)} of {len(rows)} rows; shorten the longest answers")
    counts = {"examples": 0, "prompt_tokens": 0, "loss_tokens": 0}
    for index in _spread(len(rows), sample):
        row, item = rows[index], dataset[index]
        start = len(prompt_ids(tokenizer, row["prompt"]))
        _check_one(item["input_ids"], item["labels"], start, row, tokenizer, stops)
        counts["examples"] += 1
        counts["prompt_tokens"] += start
        counts["loss_tokens"] += sum(label != IGNORED for label in item["labels"])
    return counts


def _check_one(
    ids: Sequence[int],
    labels: Sequence[int],
    start: int,
    row: Row,
    tokenizer: PreTrainedTokenizerBase,
    stops: frozenset[int],
) -> None:
    name = row.get("id", "a row")
    if any(label != IGNORED for label in labels[:start]):
        raise InvalidInput(f"{name}: the loss would fall on the prompt; the chat template and the data disagree")
    if list(labels[start:]) != list(ids[start:]):
        raise InvalidInput(f"{name}: a part of the answer is left out of the loss; check the chat template")
    answer = row["completion"][-1]["content"].strip()
    if answer not in decode(tokenizer, ids[start:]) and not holds_answer(tokenizer, ids[start:], answer):
        raise InvalidInput(f"{name}: the tokens under the loss are not its answer; check the chat template")
    if not stops & set(labels[start:]):
        raise InvalidInput(f"{name}: the end of turn is not under the loss, so the model would never learn to stop")


def _spread(count: int, sample: int) -> Iterator[int]:
    """Up to `sample` indices, evenly over `count`."""
    step = max(1, count // sample)
    yield from range(0, count, step)


def names_of(tokenizer: PreTrainedTokenizerBase, ids: frozenset[int]) -> str:
    """Tokens by name, for messages."""
    return ", ".join(sorted(str(tokenizer.convert_ids_to_tokens(each)) for each in ids))
