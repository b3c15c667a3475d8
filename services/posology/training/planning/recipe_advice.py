"""What the recipes beyond plain LoRA do to a plan, each with its source; rules as in `advice`."""

from collections.abc import Iterator

from posology.training.domain import ADAMW, Method, Note
from posology.training.planning.memory import moment_bytes
from posology.training.planning.planned import Plan, Request
from posology.training.planning.shapes import targets

USUAL_RATIO, USUAL_NOISE = 16, 15
FEW_STEPS = 30


def dora(request: Request, plan: Plan) -> Iterator[Note]:
    """What DoRA costs and what becomes of it when it is served."""
    lora = request.sft.lora
    if request.sft.method is Method.FULL or not lora.use_dora:
        return
    lengths = sum(each.outputs for each in targets(request.shape, lora))
    twice = " With dropout each adapted product is computed twice; dropout: 0 avoids that." if lora.dropout else ""
    yield Note(
        "sft.useDora",
        f"DoRA (arXiv 2402.09353) learns {lengths:,} lengths beside the directions and gains most at low ranks. Each "
        f"forward pass works out the length of every adapted weight anew, so steps are slower.{twice} It is merged "
        "before it is served: vLLM takes no DoRA adapter as it is.",
    )


def rank_stabilised(request: Request, plan: Plan) -> Iterator[Note]:
    """The scale under rsLoRA, beside the one that LoRA would have."""
    lora = request.sft.lora
    if request.sft.method is Method.FULL or not lora.use_rslora:
        return
    yield Note(
        "sft.useRslora",
        f"rsLoRA (arXiv 2312.03732) scales by alpha / sqrt(rank): {lora.scale:.3g} here, where LoRA would have "
        f"{lora.alpha / lora.rank:.3g} of the same alpha. Choose alpha for the scale, not from a LoRA recipe.",
        warning=not 0.25 <= lora.scale <= 8,
    )


def rates_apart(request: Request, plan: Plan) -> Iterator[Note]:
    """The rate of B under LoRA+, which is what diverges first."""
    ratio, rate = request.sft.lora.loraplus_lr_ratio, request.sft.optimisation.learning_rate
    if request.sft.method is Method.FULL or ratio <= 1:
        return
    yield Note(
        "sft.loraplusLrRatio",
        f"LoRA+ (arXiv 2402.12354) lets B learn at {ratio * rate:g}, {ratio:g} times the {rate:g} of A; PEFT advises "
        "half the usual rate beside it. "
        + ("Lower learningRate or the ratio." if ratio > USUAL_RATIO else "16 is the paper's ratio."),
        warning=ratio > USUAL_RATIO and ratio * rate > 5e-3,
    )


def noise(request: Request, plan: Plan) -> Iterator[Note]:
    """What NEFTune is for."""
    alpha = request.sft.optimisation.neftune_noise_alpha
    if alpha:
        yield Note(
            "sft.neftuneNoiseAlpha",
            f"NEFTune (arXiv 2310.05914) makes answers longer and more fluent; its paper saw no gain in facts. You "
            f"have {alpha:g}; 5, 10 and 15 were tried there. The validation loss is measured without noise.",
            warning=alpha > USUAL_NOISE,
        )


def moments(request: Request, plan: Plan) -> Iterator[Note]:
    """What an optimizer of 8 bits saves, which is little for an adapter."""
    optim = request.sft.optimisation.optim
    if optim in (ADAMW, "adamw_torch"):
        return
    size = 2 if request.sft.method is Method.QLORA else 4
    saved = plan.trainable * (moment_bytes(ADAMW, size) - moment_bytes(optim, size))
    share = saved / (plan.memory.total + saved)
    rate = " Lion (arXiv 2302.06675) wants a third to a tenth of AdamW's rate." if "lion" in optim else ""
    least = " Tensors of fewer than 4,096 values keep moments of 32 bits." if "8bit" in optim else ""
    yield Note(
        "sft.optim",
        f"{optim} holds {plan.memory.optimizer / 2**20:,.0f} MiB of moments, {abs(saved) / 2**20:,.0f} MiB "
        f"{'less' if saved >= 0 else 'more'} than {ADAMW} ({abs(share):.1%} of all memory).{least}{rate}",
    )


def joined(request: Request, plan: Plan) -> Iterator[Note]:
    """Packing leaves fewer steps of more tokens each."""
    optimisation = request.sft.optimisation
    if not plan.packs or not request.rows:
        return
    unjoined = optimisation.steps(request.rows)
    lower = "" if optimisation.max_steps else " Lower batchSize or raise epochs to keep the steps."
    yield Note(
        "sft.packing",
        f"{request.rows:,} rows become about {plan.packs:,} of up to {optimisation.max_length} tokens, "
        f"{request.rows / plan.packs:.1f} in each: {plan.sft_steps:,} steps instead of {unjoined:,}.{lower}",
        warning=not optimisation.max_steps and plan.sft_steps < FEW_STEPS <= unjoined,
    )


def last_one(request: Request, plan: Plan) -> Iterator[Note]:
    """What is published when the best is not asked for."""
    if not request.sft.optimisation.best:
        yield Note(
            "sft.loadBestModelAtEnd",
            "The last checkpoint is published, also where the validation loss had been lower before.",
        )


RULES = (dora, rank_stabilised, rates_apart, noise, moments, joined, last_one)
