"""Merging an adapter into the weights that it was trained on, and proof that the merged model is the trained one."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from posology.core.errors import Internal
from posology.core.jobs.worker.runtime import JobContext, Result, Stopped
from posology.training.domain import MergeTask, Method
from posology.training.worker import hardware, models, probes, saving, streamed_merge, tokens

RECORD = "merge.json"
LONGEST_PROBE = 512
KEPT = 2 << 30
"""Bytes of logits that are compared: 2,048 tokens of 262,144 words, where 64 conversations would take 9 GB."""
AT_ONCE = 64
TOLERANCE = 2e-4
"""Mean KL divergence (nats per token) allowed between the trained and the merged model. The floor of a bf16 merge was
measured at 2e-5; merging a QLoRA adapter into the original weights, which is wrong, gives 6e-4."""


@dataclass(frozen=True)
class Agreement:
    """How near two models are on held-out conversations, teacher-forced; KL in nats per token."""

    kl: float
    top1: float
    largest_logit_difference: float
    tokens: int


def merge(ctx: JobContext, task: MergeTask) -> Result:
    """Merge, save, load again from disk and compare; a model that was trained whole is passed through."""
    source = ctx.input(task.adapter)
    if not (source / "adapter_config.json").exists():
        return pass_through(ctx, task, source)
    trained_as = saving.read_record(source)
    below = str(trained_as.get("base") or task.base_model)
    base, method = ctx.input(below), Method(trained_as.get("method", "LORA"))
    machine = hardware.detect()
    tokenizer = tokens.open_tokenizer(base)
    conversations = probes.token_ids(tokenizer, probes.read(source), LONGEST_PROBE)

    ctx.progress(0, 3, "loading the trained model")
    model = models.attach(models.load(base, method, machine), source, trainable=False)
    batch = within(conversations, vocabulary=model.config.get_text_config().vocab_size)
    trained = kept_logits(model, batch, ctx.workdir)

    del model

    try:
        streamed_merge.plan(base, source, method=method, machine=machine).write(ctx.output, between=_between(ctx))
    except streamed_merge.NotStreamable as error:
        ctx.log("this merge holds the whole model in memory", reason=str(error))
        whole(base, source, ctx.output, method=method, machine=machine)

    ctx.progress(2, 3, "checking the merged model")
    again = models.load_saved(ctx.output, machine)
    agreement = compare(_read_each(trained), (models.logits(again, [ids])[0] for ids in batch))
    for path in trained:
        path.unlink()
    saving.write_json(
        ctx.output / RECORD,
        {"base": below, "adapter": task.adapter, "method": method.value, "tolerance": TOLERANCE, **asdict(agreement)},
    )
    if not agreement.kl <= TOLERANCE:
        raise Internal(
            f"the merged model is not the trained one: mean KL {agreement.kl:.2g} over {agreement.tokens} tokens "
            f"(at most {TOLERANCE:.0e}), same first choice {agreement.top1:.2%}; nothing is published"
        )
    ctx.progress(3, 3, f"merged, KL {agreement.kl:.1e}")
    return Result(
        kind="model",
        parents=(below, task.adapter),
        parameters={"task": "merge", "method": method.value},
        summary={"method": method.value, "dtype": str(again.dtype).removeprefix("torch."), **asdict(agreement)},
    )


def _between(ctx: JobContext) -> Callable[[int, int], None]:
    def between(done: int, total: int) -> None:
        if ctx.stopping.is_set():
            raise Stopped
        ctx.progress(1 + done / total, 3, "merging")

    return between


def whole(base: Path, adapter: Path, output: Path, *, method: Method, machine: hardware.Hardware) -> None:
    """The merge of a model in memory: for bases whose files and modules do not correspond one to one."""
    # QLoRA saw the dequantised NF4 weights, so the update belongs to them and not to the original ones.
    below = dequantized(base, machine) if method is Method.QLORA else models.load(base, method, machine)
    merged = models.attach(below, adapter, trainable=False).merge_and_unload()
    saving.whole_model(merged, output, base=base)


def pass_through(ctx: JobContext, task: MergeTask, source: Path) -> Result:
    """The model as it is: there is nothing to merge."""
    shutil.copytree(source, ctx.output, dirs_exist_ok=True)
    outcome = {"method": "FULL", "kl": 0.0, "top1": 1.0}
    saving.write_json(ctx.output / RECORD, {"base": task.base_model, "adapter": task.adapter, **outcome})
    return Result(
        kind="model",
        parents=(task.adapter,),
        parameters={"task": "merge", "method": "FULL"},
        summary={"method": "FULL", "kl": 0.0, "top1": 1.0},
    )


def dequantized(base: Path, machine: hardware.Hardware) -> Any:
    """The base as QLoRA training saw it: through NF4 and back, in bf16."""
    model = models.load(base, Method.QLORA, machine).dequantize()
    for holder in (model.config, model):
        if hasattr(holder, "quantization_config"):
            del holder.quantization_config  # or the saved config claims 4-bit weights
    return model


def within(batch: Sequence[Sequence[int]], *, vocabulary: int) -> list[list[int]]:
    """As many tokens of the conversations, in order, as KEPT bytes hold logits of; at least two."""
    room = max(2, KEPT // (4 * vocabulary))
    kept = []
    for ids in batch:
        if room > 0:
            kept.append(list(ids[:room]))
        room -= len(ids)
    return kept


def kept_logits(model: Any, batch: Sequence[Sequence[int]], folder: Path) -> list[Path]:
    """The logits of each conversation in a file of its own: one model is gone before the other one is loaded."""
    paths = []
    for number, ids in enumerate(batch):
        paths.append(folder / f"trained-{number}.safetensors")
        save_file({"logits": models.logits(model, [ids])[0].contiguous()}, str(paths[-1]))
    return paths


def _read_each(paths: Sequence[Path]) -> Iterator[torch.Tensor]:
    for path in paths:
        yield load_file(str(path))["logits"]


def compare(trained: Iterable[torch.Tensor], merged: Iterable[torch.Tensor]) -> Agreement:
    """KL(trained || merged), share of equal first choices, largest difference of logits; over all positions.

    One conversation of each is held at a time, [tokens, vocabulary], and distributions of AT_ONCE positions.
    """
    kl, same, largest, count = 0.0, 0, 0.0, 0
    for one, other in zip(trained, merged, strict=True):
        for before, after in zip(one.split(AT_ONCE), other.split(AT_ONCE), strict=True):
            p, q = torch.log_softmax(before, -1), torch.log_softmax(after, -1)
            kl += float((p.exp() * (p - q)).sum())
            same += int((before.argmax(-1) == after.argmax(-1)).sum())
            largest = max(largest, float((before - after).abs().max()))
            count += before.shape[0]
    return Agreement(kl / count, same / count, largest, count)
