"""What leaves a worker: safetensors, settings and text; no pickle, no path of this machine, no time."""

import json
import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel

from posology.training import event_file
from posology.training.base_models.companions import COMPANIONS

RECORD = "training.json"
LIBRARIES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "posology")


def adapter(model: PeftModel, output: Path, *, base: str) -> None:
    """A PEFT folder whose `base_model_name_or_path` is the digest of the model that it was trained on."""
    model.save_pretrained(str(output), selected_adapters=["default"])
    (output / "README.md").unlink(missing_ok=True)
    path = output / "adapter_config.json"
    settings = json.loads(path.read_text())
    settings["base_model_name_or_path"] = base
    settings["inference_mode"] = True
    if isinstance(settings["target_modules"], list):
        settings["target_modules"] = sorted(settings["target_modules"])  # PEFT writes a set, in any order
    write_json(path, settings)


def whole_model(model: PreTrainedModel, output: Path, *, base: Path) -> None:
    """A model folder; tokenizer, chat template and generation defaults are the base's own bytes."""
    model.save_pretrained(str(output))
    (output / "README.md").unlink(missing_ok=True)
    companions(base, output)


def companions(base: Path, output: Path) -> None:
    """Copy what stands beside the weights, unchanged."""
    for path in sorted(base.iterdir()):
        if path.is_file() and path.name in COMPANIONS:
            shutil.copyfile(path, output / path.name)


def record(output: Path, entries: Mapping[str, Any]) -> None:
    """`training.json`: settings, curves, findings and library versions; no timings, so that equal runs are equal.
    The curves stand beside it as an event file of TensorBoard's, too."""
    event_file.write(output, entries["curves"])
    write_json(output / RECORD, {**entries, "versions": {name: version(name) for name in LIBRARIES}})


def read_record(folder: Path) -> dict[str, Any]:
    """The record of an adapter or model that this service trained; {} for a folder without one."""
    path = folder / RECORD
    return json.loads(path.read_text()) if path.exists() else {}


def write_json(path: Path, value: Any) -> None:
    """Sorted and indented."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
