"""The linear modules and parameter counts of a model, from config.json or safetensors headers: no weights, no torch."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from posology.core.errors import InvalidInput, Violation
from posology.training.domain import ALL_LINEAR, Lora

LONGEST_HEADER = 100_000_000
"""Bytes; the format allows no longer header."""

NF4_BLOCK = 64
"""Weights of one block of NF4: the inputs of a quantised module must be a whole number of them."""

KNOWN = ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi3", "smollm3", "granite")


@dataclass(frozen=True)
class Linear:
    """One linear module by its full name (`model.layers.0.self_attn.q_proj`): weight [outputs, inputs]."""

    name: str
    outputs: int
    inputs: int

    @property
    def short(self) -> str:
        """The last part of the name, what `target_modules` speaks of."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class ModelShape:
    """What planning needs to know of a model."""

    architecture: str
    linears: tuple[Linear, ...]
    parameters: int
    hidden: int
    layers: int
    vocabulary: int
    intermediate: int
    context: int

    @property
    def linear_parameters(self) -> int:
        """Weights in the linear modules of the layers: what NF4 quantises (never embeddings or head)."""
        return sum(each.outputs * each.inputs for each in self.linears)

    def module_names(self) -> tuple[str, ...]:
        """The short names that `target_modules` may use, in the order of the model."""
        return tuple(dict.fromkeys(each.short for each in self.linears))


def targets(shape: ModelShape, lora: Lora) -> tuple[Linear, ...]:
    """The modules that `lora` adapts; a name that the model lacks is an error that lists the names it has."""
    if ALL_LINEAR in lora.target_modules:
        return shape.linears
    missing = [name for name in lora.target_modules if name not in shape.module_names()]
    if missing:
        raise InvalidInput.of(
            Violation("targetModules", f"{name} is not in this model; it has {', '.join(shape.module_names())}")
            for name in missing
        )
    return tuple(each for each in shape.linears if each.short in lora.target_modules)


def lora_parameters(shape: ModelShape, lora: Lora) -> int:
    """Trainable parameters of the adapter: rank x (inputs + outputs) for each module, and DoRA's length per output."""
    lengths = 1 if lora.use_dora else 0
    return sum(lora.rank * (each.inputs + each.outputs) + lengths * each.outputs for each in targets(shape, lora))


def from_config(config: Mapping[str, Any]) -> ModelShape:
    """The shape of a Llama-like model from its config.json alone."""
    kind = str(config.get("model_type", ""))
    if kind not in KNOWN:
        raise InvalidInput(
            f"the plan cannot read model type {kind or '(none)'} from config.json alone (it knows {', '.join(KNOWN)}); "
            "import the model first, then the plan reads its weight files"
        )
    _check_sizes(config)
    hidden, layers, vocabulary = (int(config[key]) for key in ("hidden_size", "num_hidden_layers", "vocab_size"))
    block = _block(config, kind)
    linears = tuple(
        Linear(f"model.layers.{layer}.{name}", outputs, inputs)
        for layer in range(layers)
        for name, outputs, inputs in block
    )
    embeddings = vocabulary * hidden * (1 if _tied(config, kind) else 2)
    rest = layers * _small_parameters(config, kind) + hidden
    return ModelShape(
        architecture=kind,
        linears=linears,
        parameters=sum(each.outputs * each.inputs for each in linears) + embeddings + rest,
        hidden=hidden,
        layers=layers,
        vocabulary=vocabulary,
        intermediate=int(config["intermediate_size"]),
        context=_size(config, "context") or 2048,
    )


_NEEDED = ("hidden_size", "num_hidden_layers", "vocab_size", "intermediate_size", "num_attention_heads")


def _check_sizes(config: Mapping[str, Any]) -> None:
    """InvalidInput that names each size which is missing or is no positive whole number."""
    optional = [name for name in ("num_key_value_heads", "head_dim") if config.get(name) is not None]
    wrong = [name for name in (*_NEEDED, *optional) if type(config.get(name)) is not int or config[name] <= 0]
    if wrong:
        raise InvalidInput.of(
            Violation("config.json", f"{name} is {json.dumps(config.get(name))}, not a positive whole number")
            for name in wrong
        )


def _heads(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Query heads, key-value heads, head size."""
    heads = int(config["num_attention_heads"])
    size = config.get("head_dim") or int(config["hidden_size"]) // heads
    return heads, int(config.get("num_key_value_heads") or heads), int(size)


def _block(config: Mapping[str, Any], kind: str) -> list[tuple[str, int, int]]:
    hidden, wide = int(config["hidden_size"]), int(config["intermediate_size"])
    heads, kv, size = _heads(config)
    if kind == "phi3":
        return [
            ("self_attn.qkv_proj", (heads + 2 * kv) * size, hidden),
            ("self_attn.o_proj", hidden, heads * size),
            ("mlp.gate_up_proj", 2 * wide, hidden),
            ("mlp.down_proj", hidden, wide),
        ]
    return [
        ("self_attn.q_proj", heads * size, hidden),
        ("self_attn.k_proj", kv * size, hidden),
        ("self_attn.v_proj", kv * size, hidden),
        ("self_attn.o_proj", hidden, heads * size),
        ("mlp.gate_proj", wide, hidden),
        ("mlp.up_proj", wide, hidden),
        ("mlp.down_proj", hidden, wide),
    ]


def _small_parameters(config: Mapping[str, Any], kind: str) -> int:
    """Norms and biases of one layer."""
    hidden = int(config["hidden_size"])
    heads, kv, size = _heads(config)
    norms = hidden * (4 if kind == "gemma2" else 2) + (2 * size if kind == "qwen3" else 0)
    attention_bias = kind == "qwen2" or bool(config.get("attention_bias"))
    biases = (heads + 2 * kv) * size if attention_bias else 0
    if attention_bias and kind != "qwen2":
        biases += hidden
    if config.get("mlp_bias"):
        biases += 2 * int(config["intermediate_size"]) + hidden
    return norms + biases


def _tied(config: Mapping[str, Any], kind: str) -> bool:
    return bool(config.get("tie_word_embeddings", kind in ("gemma", "gemma2")))


# --- from the weight files -------------------------------------------------------------------------

_LAYER = re.compile(r"^(?:.*\.)?(?:layers|h|blocks|layer)\.(\d+)\.(.+)\.weight$")
_EXPERT = re.compile(r"(^|\.)(experts|router|gate|shared_expert_gate|wg)(\.|$)")
"""Parts of a mixture of experts: transformers stacks them in tensors, which no adapter of linear modules takes."""
_EMBEDDING = re.compile(r"(^|\.)(embed_tokens|wte|word_embeddings|embed_in|embeddings|tok_embeddings)\.weight$")
_SIZES = {
    "vocabulary": ("vocab_size",),
    "hidden": ("hidden_size", "n_embd", "d_model", "dim"),
    "intermediate": ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff"),
    "context": ("max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "n_ctx"),
}
"""What a size is called in the configs of different families."""


def parse_header(raw: bytes) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Tensor name -> (dtype, shape), from the JSON header of a safetensors file (without its 8 length bytes)."""
    entries = json.loads(raw)
    return {name: (entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items() if name != "__metadata__"}


def from_headers(config: Mapping[str, Any], headers: Iterable[Mapping[str, tuple[str, tuple[int, ...]]]]) -> ModelShape:
    """The shape of a model of any architecture, from the headers of its weight files; its layers are numbered.

    Where config.json leaves a size out, the tensors say it. InvalidInput for weights in which no embedding and no
    numbered layers are found.
    """
    tensors = {name: shape for header in headers for name, (_, shape) in header.items()}
    layers, linears = set(), []
    for name, shape in sorted(tensors.items(), key=lambda item: _natural(item[0])):
        if not (match := _LAYER.match(name)) or _is_of_another_part(name):
            continue
        layers.add(match[1])
        if len(shape) == 2 and not _EXPERT.search(match[2]):
            linears.append(Linear(name.removesuffix(".weight"), shape[0], shape[1]))
    inner = _text_config(config)
    embedding = next((shape for name, shape in tensors.items() if _EMBEDDING.search(name) and len(shape) == 2), None)
    vocabulary = embedding[0] if embedding else _size(inner, "vocabulary")
    hidden = _size(inner, "hidden") or (embedding[1] if embedding else 0)
    if not layers or not vocabulary or not hidden:
        raise InvalidInput(
            f"the weight files of this model ({_kind(config)}) hold no embedding and numbered layers "
            f"({len(tensors)} tensors, the first is {min(tensors, default='none')}); import a causal language model"
        )
    return ModelShape(
        architecture=_kind(config),
        linears=tuple(linears),
        parameters=sum(_product(shape) for shape in tensors.values()),
        hidden=hidden,
        layers=len(layers),
        vocabulary=vocabulary,
        intermediate=_size(inner, "intermediate") or 4 * hidden,
        context=_size(inner, "context") or 2048,
    )


def _kind(config: Mapping[str, Any]) -> str:
    return str(config.get("model_type", "unknown"))


def _text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where a model of several parts keeps the sizes of its language model."""
    inner = config.get("text_config")
    return inner if isinstance(inner, Mapping) else config


def _size(config: Mapping[str, Any], name: str) -> int:
    """The first positive whole number among the names of a size, 0 for none."""
    values = (config.get(key) for key in _SIZES[name])
    return next((value for value in values if isinstance(value, int) and value > 0), 0)


def _is_of_another_part(name: str) -> bool:
    """A vision or audio tower beside the language model."""
    return any(part in name for part in ("vision_", "visual.", "audio_"))


def _product(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key under which layer 10 follows layer 9."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]


def read_headers(folder: Path) -> list[dict[str, tuple[str, tuple[int, ...]]]]:
    """The headers of every weight file of a model folder."""
    return [read_header(path) for path in sorted(folder.glob("*.safetensors"))]


def read_header(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The header of one weight file; a file that is too short or no safetensors is named."""
    with path.open("rb") as data:
        return header_of(data, path.name, size=path.stat().st_size)


def header_of(data: IO[bytes], name: str, *, size: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The header at the start of an open weight file of `size` bytes; its last tensor must end where the file does."""
    length = int.from_bytes(data.read(8), "little")
    if not 2 <= length <= min(size - 8, LONGEST_HEADER):
        raise InvalidInput(f"{name} is not a safetensors file, or it is cut short; fetch the model again")
    raw = data.read(length)
    try:
        ends = [entry["data_offsets"][1] for key, entry in json.loads(raw).items() if key != "__metadata__"]
        header = parse_header(raw)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{name} has no readable safetensors header ({error}); fetch the model again") from error
    expected = 8 + length + max(ends, default=0)
    if size != expected:
        raise InvalidInput(f"{name} has {size} bytes and its header speaks of {expected}; fetch the model again")
    return header
