"""What of a candidate must equal, to the byte, what it was trained with: template, tokens, end of turn, adapter."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import AutoConfig

from posology.engine import chat_template_digest
from posology.evaluation.domain import ExactCheck

if TYPE_CHECKING:
    from posology.evaluation.worker.tokens import Template

MERGE_RECORD = "merge.json"
_RECORDED = frozenset(
    {"architectures", "bos_token_id", "dtype", "eos_token_id", "pad_token_id", "quantization_config", "torch_dtype"}
    | {"transformers_version", "use_cache"}
)
"""Entries of a config that saving it may change and that decide nothing here: the end of turn is a check of its own."""
_ANSWER = "Take 10 mg once daily with food."


def checks(
    base: Path, merged: Path, *, templates: tuple["Template", "Template"], prompts: Sequence[str], adapter: str
) -> Iterator[ExactCheck]:
    """`base` is the folder that the candidate was trained on; `adapter` the digest that was merged, empty for none.

    `templates`: of the base and of the candidate, which render the same conversations here.
    """
    yield ExactCheck("template", chat_template_digest(base), chat_template_digest(merged))
    trained, candidate = (_rendered(template, prompts) for template in templates)
    yield ExactCheck("tokens", trained, candidate)
    yield ExactCheck("end of turn", _end_of_turn(base, templates[0]), _end_of_turn(merged, templates[1]))
    yield _config(base, merged)
    if adapter:
        yield ExactCheck("adapter", adapter, str(_json(merged / MERGE_RECORD).get("adapter", "")))


def _rendered(template: "Template", prompts: Sequence[str]) -> str:
    """A digest of the token ids of conversations."""
    ids = [template.conversation(prompt, _ANSWER) for prompt in prompts]
    return "sha256:" + hashlib.sha256(json.dumps(ids).encode()).hexdigest()


def _end_of_turn(folder: Path, template: "Template") -> str:
    """The tokens that stop generation, and those that the template puts behind an answer."""
    stops = _json(folder / "generation_config.json").get(
        "eos_token_id", _json(folder / "config.json").get("eos_token_id")
    )
    numbers = sorted(stops) if isinstance(stops, list) else [] if stops is None else [stops]
    return f"stops at {numbers}, {template.eos}; a turn ends in {list(template.turn_end(_ANSWER))}"


def _config(base: Path, merged: Path) -> ExactCheck:
    """What the configs say of the computation, defaults included: rotary angles, soft caps, windows, activations.

    Weights say nothing of these, and both paths to the engine would share such a defect.
    """
    one, other = (_computation(folder) for folder in (base, merged))
    different = sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))
    if not different:
        digest = "sha256:" + hashlib.sha256(json.dumps(one, sort_keys=True, default=str).encode()).hexdigest()
        return ExactCheck("config", digest, digest)
    shown = [", ".join(f"{key} {values.get(key)}" for key in different[:3]) for values in (one, other)]
    return ExactCheck("config", *shown)


def _computation(folder: Path) -> dict[str, Any]:
    config: dict[str, Any] = AutoConfig.from_pretrained(str(folder), local_files_only=True).to_dict()
    return {key: value for key, value in config.items() if key not in _RECORDED and not key.startswith("_")}


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
