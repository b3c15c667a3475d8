"""The model's own chat template and tokenizer, as training and the engine use them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from posology.core.errors import InvalidInput

IGNORED = -100
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
    return rendered_ids(tokenizer, [*row["prompt"], *row["completion"]])


def rendered_ids(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Mapping[str, str]]) -> list[int]:
    """Messages as they stand, with nothing opened behind them."""
    return _ids(tokenizer.apply_chat_template(list(messages), tokenize=True))


def _ids(rendered: Any) -> list[int]:
    return list(rendered["input_ids"] if isinstance(rendered, Mapping) else rendered)


def decode(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of token ids as it went in: every Llama 3 tells its tokenizer to drop spaces before punctuation."""
    return str(tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def holds_answer(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], answer: str) -> bool:
    """Whether `ids` are those of a text with `answer`, as a tokenizer that normalises (case, NFKC) writes it."""
    normalised = decode(tokenizer, tokenizer(answer, add_special_tokens=False)["input_ids"]).strip()
    return bool(normalised) and normalised in decode(tokenizer, ids)


def names_of(tokenizer: PreTrainedTokenizerBase, ids: frozenset[int]) -> str:
    """Tokens by name, for messages."""
    return ", ".join(sorted(str(tokenizer.convert_ids_to_tokens(each)) for each in ids))
