"""A merge that never holds the model: each tensor is read, changed and written before the next one is read.

The arithmetic is PEFT's own. The model stands on torch's meta device, as shapes without weights; one adapted module at
a time gets its weight and its adapter, merges, and is emptied again. So what is written is what `merge_and_unload`
of the whole model would have saved, bit for bit, and the peak is about three times the largest tensor that changes.
"""

import contextlib
import ctypes
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import torch
from peft import PeftConfig, PeftModel
from peft.tuners.lora import Embedding, Linear, LoraLayer
from safetensors import safe_open
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig
from transformers.integrations.bitsandbytes import dequantize_bnb_weight
from transformers.quantizers import AutoHfQuantizer

from posology.core.weights import NF4, attention
from posology.training.base_models.companions import INDEX, WEIGHTS
from posology.training.domain import Method
from posology.training.worker import saving
from posology.training.worker.hardware import Hardware
from posology.training.worker.models import ADAPTER_FILE

FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
"""Kinds of tensors that are cast to the precision of the merge; all others are copied as they are."""
SPELT = {dtype: name for name, dtype in FLOATS.items()}
LONGEST_READ = 1 << 26
"""Bytes that are copied at once where nothing is changed."""
_KEYS = "base_model.model."
_MMAP_THRESHOLD = -3  # M_MMAP_THRESHOLD of malloc.h


@dataclass(frozen=True)
class Stored:
    """One tensor of a weight file: where its bytes lie, [start, end)."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Planned:
    """One tensor of the merged model, made from the base's."""

    name: str
    source: Stored
    layer: LoraLayer | None = None
    """What adapts it."""
    instead: str = ""
    """Under which name the adapter holds what stands in the place of the base's; "" where nothing does."""
    quantized: Any = None
    """The module on the meta device whose weight training saw through NF4; None for a plain one."""


class NotStreamable(Exception):
    """Files and modules do not correspond one to one; the merge needs the whole model. Says why."""


@dataclass(frozen=True)
class StreamedMerge:
    """What is to be written, shard by shard; nothing has been read but headers."""

    shards: Mapping[str, tuple[Planned, ...]]
    """By the name of the file."""
    model: Any
    """On the meta device; its config is the merged model's."""
    base: Path
    adapter: Path
    dtype: torch.dtype
    device: str

    def write(self, output: Path, *, between: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Write the merged model's folder; `between` hears before each tensor how many of how many are written."""
        return_freed_memory()
        total, done, sizes = sum(map(len, self.shards.values())), 0, 0
        index: dict[str, str] = {}
        with safe_open(str(self.adapter / ADAPTER_FILE), framework="pt") as adapter:
            for name, plans in self.shards.items():
                ordered = sorted(plans, key=lambda plan: (-self._width(plan), plan.name))  # as safetensors itself
                with (output / name).open("wb") as out:
                    sizes += _write_header(out, [(plan.name, *self._written_as(plan)) for plan in ordered])
                    for plan in ordered:
                        between(done, total)
                        self._write_one(out, plan, adapter)
                        done += 1
                index |= {plan.name: name for plan in plans}
        if len(self.shards) > 1:
            saving.write_json(output / INDEX, {"metadata": {"total_size": sizes}, "weight_map": index})
        config = self.model.config
        config.architectures, config.dtype = [type(self.model).__name__], self.dtype
        config.save_pretrained(str(output))
        if self.model.can_generate():
            self.model.generation_config.save_pretrained(str(output))
        saving.companions(self.base, output)

    def _written_as(self, plan: Planned) -> tuple[str, tuple[int, ...], int]:
        """Kind, shape and bytes: numbers that are no weights stay as they are."""
        source = plan.source
        if source.kind not in FLOATS:
            return source.kind, source.shape, source.end - source.start
        return SPELT[self.dtype], source.shape, math.prod(source.shape) * self.dtype.itemsize

    def _width(self, plan: Planned) -> int:
        kind = self._written_as(plan)[0]
        return FLOATS[kind].itemsize if kind in FLOATS else 1

    def _write_one(self, out: IO[bytes], plan: Planned, adapter: Any) -> None:
        same = self._written_as(plan)[0] == plan.source.kind
        if same and plan.layer is None and not plan.instead and plan.quantized is None:
            return _copy(plan.source, out)
        with torch.no_grad():
            _write(out, self._made(plan, adapter))

    def _made(self, plan: Planned, adapter: Any) -> torch.Tensor:
        """The merged tensor on the CPU, in the precision of the merge."""
        weight = adapter.get_tensor(plan.instead) if plan.instead else _read(plan.source)
        weight = weight.to(self.dtype)
        if plan.quantized is not None and not plan.instead:
            weight = through_nf4(weight.to(self.device), plan.quantized)
        if plan.layer is not None:
            weight = merged(plan.layer, weight.to(self.device), own_of(plan.layer, plan.name, adapter, self.device))
        return weight.cpu()


def plan(base: Path, adapter: Path, *, method: Method, machine: Hardware) -> StreamedMerge:
    """How to merge `adapter` into `base` tensor by tensor; NotStreamable where only the whole model can tell."""
    dtype = machine.dtype(method)
    config = AutoConfig.from_pretrained(str(base), local_files_only=True)
    if getattr(config, "quantization_config", None):
        raise NotStreamable("the base's own files are quantised")
    model = skeleton(config, base, dtype)
    if dtype is not torch.float32 and (model._keep_in_fp32_modules or model._keep_in_fp32_modules_strict):
        raise NotStreamable("parts of this architecture stay in fp32")
    stored = {name: entry for path in sorted(base.glob(f"*{WEIGHTS}")) for name, entry in _entries(path)}
    tied = dict(model.all_tied_weights_keys)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    for name in expected.keys() - tied.keys():
        if name not in stored or stored[name].shape != expected[name]:
            raise NotStreamable(f"the base's files have no tensor {name} of shape {list(expected[name])}")
    quantized = nf4_modules(config, base) if method is Method.QLORA else {}
    layers, replaced = adapted(model, adapter)
    if unknown := sorted((layers.keys() | replaced.keys()) - expected.keys()):
        raise NotStreamable(f"the adapter changes {unknown[0]}, which is no tensor of the model")
    untied = untie(model, tied, layers.keys() | replaced.keys())
    shards: dict[str, list[Planned]] = {}
    for name in sorted(expected):
        if name in tied and name not in untied:
            continue
        # A tied tensor has no bytes of its own, or the same ones a second time: its source is what it was tied to.
        source = stored[tied.get(name, name)]
        entry = Planned(name, source, layers.get(name), replaced.get(name, ""), quantized.get(name))
        shards.setdefault(source.path.name, []).append(entry)
    return StreamedMerge(
        {name: tuple(plans) for name, plans in sorted(shards.items())},
        model,
        base,
        adapter,
        dtype,
        "cuda" if machine.gpu else "cpu",
    )


def skeleton(config: Any, folder: Path, dtype: torch.dtype) -> Any:
    """The model without weights."""
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention(folder))


def adapted(model: Any, adapter: Path) -> tuple[dict[str, LoraLayer], dict[str, str]]:
    """The adapter's layers on the meta device, by the name of the weight that each changes; and what the adapter holds
    in the place of the base's tensors (PEFT's `modules_to_save`, trained biases, embeddings that it adapts)."""
    settings = PeftConfig.from_pretrained(str(adapter))
    settings.inference_mode = True
    if getattr(settings, "ensure_weight_tying", False) or getattr(settings, "target_parameters", None):
        raise NotStreamable("the adapter changes more than single modules")
    wrapped = PeftModel(model, settings, autocast_adapter_dtype=False, low_cpu_mem_usage=True)
    layers: dict[str, LoraLayer] = {}
    for name, module in wrapped.base_model.model.named_modules():
        if isinstance(module, LoraLayer):
            if not isinstance(module, Linear | Embedding) or any(module.lora_bias.values()):
                raise NotStreamable(f"{name} is adapted by a {type(module).__name__}")
            layers[f"{name}.weight"] = module
    with safe_open(str(adapter / ADAPTER_FILE), framework="pt") as saved:
        keys = set(saved.keys())
    own = {f"{_KEYS}{name.removesuffix('.weight')}.{key}" for name, layer in layers.items() for key in own_names(layer)}
    if missing := sorted(own - keys):
        raise NotStreamable(f"the adapter has no {missing[0]}")
    return layers, {key.removeprefix(_KEYS).replace(".base_layer.", "."): key for key in keys - own}


def untie(model: Any, tied: Mapping[str, str], touched: set[str]) -> set[str]:
    """Tied tensors that become their own, because the adapter changes one of the two and not the other.

    PEFT merges such an adapter into both, which is not the model that was trained.
    """
    untied = {target for target, source in tied.items() if target in touched or source in touched}
    if untied:
        for part in (model.config, model.config.get_text_config()):
            part.tie_word_embeddings = False
    return untied


def nf4_modules(config: Any, base: Path) -> dict[str, Any]:
    """The modules that QLoRA quantised, as the library chooses them, by the name of their weight."""
    model = skeleton(config, base, torch.bfloat16)
    quantizer = AutoHfQuantizer.from_config(BitsAndBytesConfig(**NF4))
    quantizer.preprocess_model(model=model, dtype=torch.bfloat16, device_map={"": "cpu"})
    return {f"{name}.weight": module for name, module in model.named_modules() if type(module).__name__ == "Linear4bit"}


def through_nf4(weight: torch.Tensor, module: Any) -> torch.Tensor:
    """A weight as QLoRA training saw it: through NF4 and back."""
    from bitsandbytes.nn import Params4bit

    how = {**module.weight.__dict__, "module": None}  # or the module keeps the scales of its blocks
    packed = Params4bit(weight, requires_grad=False, **how).to(weight.device)
    return dequantize_bnb_weight(packed, packed.quant_state).to(weight.dtype)


def own_names(layer: LoraLayer) -> dict[str, str]:
    """What the adapter's file calls the parameters of a layer, and what the layer calls them."""
    names = {}
    for name, _ in layer.named_parameters():
        if name.startswith("lora_"):
            key = name.replace(".default", "")
            names[key.removesuffix(".weight") if "magnitude" in key else key] = name
    return names


def own_of(layer: LoraLayer, weight: str, adapter: Any, device: str) -> dict[str, torch.Tensor]:
    """The layer's own tensors, in the precision that they were saved in."""
    module = weight.removesuffix(".weight")
    return {name: adapter.get_tensor(f"{_KEYS}{module}.{key}").to(device) for key, name in own_names(layer).items()}


def merged(layer: LoraLayer, weight: torch.Tensor, own: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """PEFT's merge of one layer, which is empty before and after."""
    layer.load_state_dict({"base_layer.weight": weight, **own}, strict=False, assign=True)
    layer.merge()
    result = layer.get_base_layer().weight.data
    layer.to("meta")
    layer._caches.clear()
    return result


def return_freed_memory() -> None:
    """Let tensors of a MiB and more go back to the machine as soon as they are freed.

    glibc learns from the first large blocks that it frees to keep such blocks for itself; small ones between them then
    hold them fast, and a merge was seen to grow by the size of the whole model.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library has no such habit
        ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, 1 << 20)


# --- files -----------------------------------------------------------------------------------------------


def _entries(path: Path) -> Iterator[tuple[str, Stored]]:
    with path.open("rb") as data:
        length = int.from_bytes(data.read(8), "little")
        header = json.loads(data.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            yield name, Stored(path, entry["dtype"], tuple(entry["shape"]), 8 + length + start, 8 + length + end)


def _read(stored: Stored) -> torch.Tensor:
    """Read, not mapped: pages of a map stay in this process's memory as long as the file is open."""
    raw = torch.empty(stored.end - stored.start, dtype=torch.uint8)
    with stored.path.open("rb", buffering=0) as data:
        data.seek(stored.start)
        view, count = memoryview(raw.numpy()), 0
        while count < len(view):
            count += data.readinto(view[count : count + LONGEST_READ]) or _cut_short(stored)
    return raw.view(FLOATS[stored.kind]).view(stored.shape)


def _cut_short(stored: Stored) -> int:
    raise OSError(f"{stored.path.name} ends inside a tensor")


def _copy(stored: Stored, out: IO[bytes]) -> None:
    with stored.path.open("rb") as data:
        data.seek(stored.start)
        left = stored.end - stored.start
        while left:
            part = data.read(min(left, LONGEST_READ)) or bytes(_cut_short(stored))
            out.write(part)
            left -= len(part)


def _write_header(out: IO[bytes], tensors: list[tuple[str, str, tuple[int, ...], int]]) -> int:
    """The header of a safetensors file, and how many bytes of tensors must follow."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, kind, shape, size in tensors:
        start, end = end, end + size
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [start, end]}
    raw = json.dumps(header, separators=(",", ":")).encode()
    raw += b" " * (-len(raw) % 8)
    out.write(len(raw).to_bytes(8, "little") + raw)
    return end


def _write(out: IO[bytes], tensor: torch.Tensor) -> None:
    out.write(memoryview(tensor.contiguous().view(-1).view(torch.uint8).numpy()))
