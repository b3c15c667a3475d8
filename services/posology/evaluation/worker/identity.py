"""What of a candidate must equal, to the byte, what it was trained with: template, tokens, end of turn, adapter."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posology.engine import chat_template_digest
from posology.evaluation.domain import ExactCheck

if TYPE_CHECKING:
    from posology.evaluation.worker.tokens import Template

MERGE_RECORD = "merge.json"
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


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
