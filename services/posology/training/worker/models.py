"""Base models and adapters: loaded in one precision, the one that training, merging and checking share."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model_state_dict
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

from posology.core.errors import InvalidInput
from posology.core.jobs.worker import ranks
from posology.core.weights import NF4, attention
from posology.training.domain import ALL_LINEAR, Lora, Method
from posology.training.planning.shapes import NF4_BLOCK
from posology.training.worker.hardware import Hardware

ADAPTER_FILE = "adapter_model.safetensors"


def load(folder: Path, method: Method, hardware: Hardware) -> PreTrainedModel:
    """The model of a folder as `method` trains it: NF4 for QLORA, else in the precision of the hardware."""
    dtype = hardware.dtype(method)
    options: dict[str, Any] = {"dtype": dtype, "attn_implementation": attention(folder)}
    if method is Method.QLORA:
        options["quantization_config"] = BitsAndBytesConfig(**NF4)
        options["device_map"] = {"": ranks.local_rank() if hardware.gpu else "cpu"}
    model = AutoModelForCausalLM.from_pretrained(str(folder), use_safetensors=True, **options)
    if method is Method.QLORA:
        _check_nf4_shapes(model)
        _keep_gradients(model)
    elif hardware.gpu:
        model.to("cuda")
    return model


def _check_nf4_shapes(model: PreTrainedModel) -> None:
    """bitsandbytes crashes in the first evaluation, deep inside, when a row is no whole number of blocks."""
    for name, module in model.named_modules():
        inputs = int(getattr(module, "in_features", 0) or 0)
        if type(module).__name__ == "Linear4bit" and inputs % NF4_BLOCK:
            raise InvalidInput(
                f"QLORA needs in_features that are multiples of {NF4_BLOCK}, and {name} has {inputs}; use method LORA"
            )


def _keep_gradients(model: PreTrainedModel) -> None:
    """Keep bitsandbytes (0.50) from repacking NF4 weights for inference on CPUs with AVX512-BF16.

    The first evaluation would repack them, and the repacked product has no backward: every later training step
    would go on without gradients through the base, with a warning at most.
    """
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            module.support_avx512bf16_for_cpu = False


def lora_config(lora: Lora) -> LoraConfig:
    """The adapter as PEFT wants it; the modules are sorted so that the saved file has one order."""
    modules = ALL_LINEAR if ALL_LINEAR in lora.target_modules else sorted(lora.target_modules)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules,
        use_dora=lora.use_dora,
        use_rslora=lora.use_rslora,
        bias="none",
        task_type="CAUSAL_LM",
    )


def attach(model: PreTrainedModel, adapter: Path, *, trainable: bool) -> PeftModel:
    """`model` with the adapter of a folder, in the precision that it was saved in; every tensor is compared."""
    settings = json.loads((adapter / "adapter_config.json").read_text())
    if settings.get("peft_type") != "LORA":
        raise InvalidInput(f"the adapter is of type {settings.get('peft_type')}; only LORA adapters are known")
    wrapped = PeftModel.from_pretrained(
        model, str(adapter), is_trainable=trainable, autocast_adapter_dtype=False, local_files_only=True
    )
    saved = load_file(str(adapter / ADAPTER_FILE))
    restore_dtype(wrapped, saved)
    _check_loaded(wrapped, saved)
    return wrapped


def restore_dtype(model: PeftModel, saved: Mapping[str, torch.Tensor]) -> None:
    """PEFT creates adapter weights in the dtype of the base; put back what was trained, bit for bit."""
    dtype = next(iter(saved.values())).dtype
    for name, parameter in model.named_parameters():
        if ".lora_" in name and parameter.dtype != dtype:
            parameter.data = parameter.data.to(dtype)
    state = get_peft_model_state_dict(model)
    with torch.no_grad():
        for name, tensor in state.items():
            if name in saved:
                tensor.copy_(saved[name])


def _check_loaded(model: PeftModel, saved: Mapping[str, torch.Tensor]) -> None:
    """An adapter that loads partly trains and serves as if nothing were wrong."""
    state = get_peft_model_state_dict(model)
    absent = sorted(set(saved) ^ set(state))
    different = [name for name in set(saved) & set(state) if not torch.equal(saved[name], state[name].cpu())]
    if absent or different:
        names = ", ".join((absent + different)[:3])
        raise InvalidInput(
            f"the adapter does not fit this base model ({names}); merge it into the model it was trained on"
        )


def logits(model: Any, batch: Sequence[Sequence[int]]) -> list[torch.Tensor]:
    """fp32 next-token logits [length, vocabulary] for each sequence, on the CPU."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    with torch.no_grad():
        outputs = [model(input_ids=torch.tensor([list(ids)], device=device)).logits[0].float().cpu() for ids in batch]
    model.train(was_training)
    return outputs


def load_saved(folder: Path, hardware: Hardware) -> PreTrainedModel:
    """A model folder in the precision that it was saved in."""
    model = AutoModelForCausalLM.from_pretrained(
        str(folder), use_safetensors=True, dtype="auto", attn_implementation=attention(folder)
    )
    return model.to("cuda") if hardware.gpu else model
