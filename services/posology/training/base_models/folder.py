"""A model folder that can be trained on: checked from its files alone, everything wrong said at once."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posology.core.errors import InvalidInput, Violation
from posology.training.base_models import architectures, companions
from posology.training.planning import shapes


def wanted(name: str) -> bool:
    """Whether a file of a model repository is fetched: weights, their index, config, and what stands beside them."""
    return (
        name in companions.COMPANIONS or name in ("config.json", companions.INDEX) or name.endswith(companions.WEIGHTS)
    )


def check_names(names: list[str]) -> None:
    """Refuse, before anything is fetched, what cannot become a base model."""
    violations = list(_name_violations(set(names)))
    if violations:
        raise InvalidInput.of(violations)


def _name_violations(names: set[str]) -> Iterator[Violation]:
    if "config.json" not in names:
        yield Violation("config.json", "is missing; the source is not a Hugging Face model folder")
    if not any(name.endswith(companions.WEIGHTS) for name in names):
        pickled = sorted(name for name in names if name.endswith(companions.PICKLES))
        if pickled:
            yield Violation(
                pickled[0],
                "is a pickle, which may run code when it is read, and there are no safetensors beside it; "
                "convert the model (load it where you trust it, then save_pretrained) and try again",
            )
        else:
            yield Violation("*.safetensors", "are missing; only safetensors weights are read")
    if not names & {"tokenizer.json", "tokenizer.model", "vocab.json"}:
        yield Violation("tokenizer.json", "is missing")
    if not names & {"tokenizer_config.json"}:
        yield Violation("tokenizer_config.json", "is missing")


def check(folder: Path) -> shapes.ModelShape:
    """The shape of a model folder; InvalidInput lists all that is wrong with it."""
    check_names([path.name for path in folder.iterdir() if path.is_file()])
    violations = list(_content_violations(folder))
    if violations:
        raise InvalidInput.of(violations)
    return shapes.from_headers(read_json(folder / "config.json"), shapes.read_headers(folder))


def _content_violations(folder: Path) -> Iterator[Violation]:
    config = read_json(folder / "config.json")
    yield from architectures.violations(config)
    if "quantization_config" in config:
        yield Violation("config.json", "says that the weights are quantised already; import the original weights")
    if not has_chat_template(folder):
        yield Violation(
            "chat_template",
            "is in neither tokenizer_config.json nor chat_template.jinja, so there is no telling where an answer "
            "starts and ends; import the instruct variant of this model, or add a template to the folder",
        )
    yield from _missing_shards(folder)


def has_chat_template(folder: Path) -> bool:
    """Whether the tokenizer carries a template, in any of the three places that Hugging Face uses."""
    if (folder / "chat_template.jinja").exists() or (folder / "chat_template.json").exists():
        return True
    return bool(read_json(folder / "tokenizer_config.json").get("chat_template"))


def _missing_shards(folder: Path) -> Iterator[Violation]:
    index = folder / companions.INDEX
    if not index.exists():
        return
    for name in sorted(set(read_json(index).get("weight_map", {}).values())):
        if not (folder / name).is_file():
            yield Violation(name, f"is named in {companions.INDEX} and missing")


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object; the error names the file."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{path.name} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{path.name} is not a JSON object")
    return value
