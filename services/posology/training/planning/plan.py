"""What training would take, worked out from shapes alone: no weights, no GPU, well under a second."""

import dataclasses

from posology.core.errors import InvalidInput
from posology.training.domain import Lora, Method, Optimisation
from posology.training.planning import advice, batches, devices, packing
from posology.training.planning.batches import Batches
from posology.training.planning.memory import LIBRARIES, Memory
from posology.training.planning.planned import Lengths, Plan, Request
from posology.training.planning.shapes import lora_parameters, targets

TOKENS_PER_ROW = 320
"""Assumed for prompt and answer of one pair with padding, at most maxLength: no data set is there to look at yet."""


def plan(request: Request) -> Plan:
    """Plan `request`; InvalidInput when it asks for modules that the model does not have, or contradicts itself."""
    sft = request.sft
    if contradictions := tuple(sft.contradictions()):
        raise InvalidInput.of(contradictions)
    joined = _packs(request)
    rows = joined or request.rows
    trainable = request.shape.parameters if sft.method is Method.FULL else lora_parameters(request.shape, sft.lora)
    cut = cut_batches(request, sft.method, sft.optimisation)
    made = Plan(
        parameters=request.shape.parameters,
        trainable=trainable,
        memory=cut.memory,
        batches=cut,
        sft_steps=sft.optimisation.steps(rows) if rows or sft.optimisation.max_steps else 0,
        dpo_steps=_dpo_steps(request),
        seconds=0.0,
        notes=(),
        packs=joined,
        dpo_memory=_dpo_memory(request),
        merge_memory=_merge_memory(request),
        copies=max(1, request.gpus),
        libraries=0 if request.gpus else LIBRARIES,
    )
    timed = dataclasses.replace(made, seconds=_seconds(request, made))
    return dataclasses.replace(timed, notes=tuple(advice.notes(request, timed)))


def _packs(request: Request) -> int:
    """Joined rows, 0 where nothing is joined."""
    optimisation, lengths = request.sft.optimisation, request.lengths
    if not optimisation.packing:
        return 0
    if lengths and lengths.packs:
        return lengths.packs
    mean = lengths.mean if lengths and lengths.mean else TOKENS_PER_ROW
    return packing.expected_packs(request.rows, mean, optimisation.max_length)


def cut_batches(request: Request, method: Method, optimisation: Optimisation) -> Batches:
    """Micro-batches for the device; without one, for the smallest GPU that holds the recipe at all."""
    if method is not Method.FULL:
        targets(request.shape, request.sft.lora)
    return _cut(request, method, request.sft.lora, optimisation, request.lengths)


def _dpo_memory(request: Request) -> Memory | None:
    """DPO holds both answers of a pair; its reference is the same weights with the adapter as SFT left it."""
    if request.dpo is None:
        return None
    method = Method.LORA if request.sft.method is Method.FULL else request.sft.method
    lora = request.dpo.lora if request.sft.method is Method.FULL else request.sft.lora
    lengths = request.preference_lengths
    return _cut(request, method, lora, request.dpo.optimisation, lengths, sequences_per_row=2).memory


def _cut(
    request: Request,
    method: Method,
    lora: Lora,
    optimisation: Optimisation,
    lengths: Lengths | None,
    *,
    sequences_per_row: int = 1,
) -> Batches:
    longest = lengths.longest if lengths and lengths.longest and not optimisation.packing else optimisation.max_length
    bf16 = request.device.bf16 if request.device else request.gpus > 0
    memory = request.device.memory if request.device else 0
    if request.gpus and not request.device:
        needed = batches.fit(
            request.shape,
            method=method,
            lora=lora,
            batch_size=1,
            max_length=longest,
            device_memory=1,
            sequences_per_row=sequences_per_row,
            optim=optimisation.optim,
        )
        guess = devices.smallest_for(int(needed.memory.total / 0.9))
        memory = guess.memory if guess else 0
    return batches.fit(
        request.shape,
        method=method,
        lora=lora,
        batch_size=max(1, optimisation.batch_size // max(1, request.gpus)),
        micro=packing.micro(optimisation),
        max_length=longest,
        device_memory=memory,
        bf16=bf16,
        sequences_per_row=sequences_per_row,
        optim=optimisation.optim,
    )


def _merge_memory(request: Request) -> int:
    """Bytes that a merge holds at once: the whole model in the precision that it is saved in; FULL merges nothing."""
    if request.sft.method is Method.FULL:
        return 0
    on_cpu_in_fp32 = request.sft.method is Method.LORA and not request.gpus
    return request.shape.parameters * (4 if on_cpu_in_fp32 else 2)


def _dpo_steps(request: Request) -> int:
    if request.dpo is None:
        return 0
    rows = round(request.preference_rows * (1 - request.dpo.held_out))
    steps = request.dpo.optimisation
    return steps.steps(rows) if rows or steps.max_steps else 0


def _seconds(request: Request, made: Plan) -> float:
    """SFT and DPO; a preference has two answers, and the reference reads both too (a third of a training pass)."""
    if request.device is None:
        return 0.0
    flops = devices.flops_per_token(
        request.shape, request.sft.method, checkpoint_activations=made.batches.checkpoint_activations
    )
    tokens = _tokens(made.sft_steps, request.sft.optimisation, request.lengths)
    if made.packs:
        tokens *= request.rows / made.packs  # a step holds so many more rows
    if request.dpo:
        tokens += 3 * _tokens(made.dpo_steps, request.dpo.optimisation, request.preference_lengths)
    return devices.seconds(tokens, flops, request.device) / max(1, request.gpus)


def _tokens(steps: int, optimisation: Optimisation, lengths: Lengths | None) -> float:
    mean = lengths.mean if lengths and lengths.mean else min(TOKENS_PER_ROW, optimisation.max_length)
    return float(steps * optimisation.batch_size * mean)
