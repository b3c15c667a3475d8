"""Run by the worker python: the text models that transformers and vLLM both know by name; prints them.

`architecture_list.py REGISTRY.py`: vLLM's registry as source, since it lives in another environment.
"""

import ast
import sys
from pathlib import Path

from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

GROUPS = {"_TEXT_GENERATION_MODELS", "_MULTIMODAL_MODELS", "_TRANSFORMERS_SUPPORTED_MODELS"}


def served(registry: Path) -> set[str]:
    """The names in the tables of text and multimodal models."""
    names: set[str] = set()
    for node in ast.parse(registry.read_text()).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.value, ast.Dict):
            continue
        if isinstance(target := node.targets[0], ast.Name) and target.id in GROUPS:
            names |= {ast.literal_eval(key) for key in node.value.keys if key is not None}
    return names


trained = {
    name
    for names in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.values()
    for name in ([names] if isinstance(names, str) else names)
}
both = trained & served(Path(sys.argv[1]))
print(" ".join(sorted(name for name in both if not name.endswith("ForConditionalGeneration"))))
