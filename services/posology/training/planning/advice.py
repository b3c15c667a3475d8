"""What is likely to go wrong with a plan, and what to know: one function per rule, one line in the list."""

import dataclasses
from collections.abc import Callable, Iterator

from posology.training.domain import ALL_LINEAR, Method, Note
from posology.training.planning import recipe_advice
from posology.training.planning.devices import smallest_for
from posology.training.planning.memory import HEADROOM
from posology.training.planning.planned import Plan, Request
from posology.training.planning.shapes import NF4_BLOCK, lora_parameters, targets

SMALL_SHARE = 0.03
FEW_ROWS = 200
GOOD_ROWS = 1000
FEW_STEPS = 30
Rule = Callable[[Request, Plan], Iterator[Note]]


def notes(request: Request, plan: Plan) -> Iterator[Note]:
    """All that the rules say, warnings first; the shipped recipe on a model of its size gets no warning."""
    collected = [note for rule in RULES for note in rule(request, plan)]
    yield from sorted(collected, key=lambda note: not note.warning)


def nf4_blocks(request: Request, plan: Plan) -> Iterator[Note]:
    """bitsandbytes cannot evaluate a module whose inputs are no whole number of blocks."""
    odd = sorted({each.short for each in request.shape.linears if each.inputs % NF4_BLOCK})
    if request.sft.method is Method.QLORA and odd:
        yield Note(
            "sft.method",
            f"QLORA needs modules whose inputs are a multiple of {NF4_BLOCK}; {', '.join(odd)} have others, so this "
            "job would be refused. Use LORA.",
            warning=True,
        )


def memory(request: Request, plan: Plan) -> Iterator[Note]:
    """Whether the device holds the recipe, and which one would."""
    total = plan.memory.total
    smallest = smallest_for(int(total / HEADROOM))
    if request.device and 0 < HEADROOM * request.device.memory < total:
        larger = f"the smallest GPU that holds it is an {smallest.name}" if smallest else "no single GPU here holds it"
        yield Note(
            "resources.gpus",
            f"Even one row at a time needs about {total / 2**30:.1f} GiB and {request.device.name} has "
            f"{request.device.memory / 2**30:.0f}: {larger}. QLORA, a shorter maxLength or a smaller model need less.",
            warning=True,
        )
    elif request.host_memory and not request.gpus and request.host_memory < total + plan.libraries:
        yield Note(
            "resources.memoryMib",
            f"About {(total + plan.libraries) / 2**20:,.0f} MiB are needed, {plan.libraries >> 20:,} of them by the "
            f"libraries, and {request.host_memory >> 20:,} are given. Raise resources.memoryMib, or lower "
            "microBatchSize or maxLength.",
            warning=True,
        )
    elif request.gpus and not request.device and smallest:
        cut = plan.batches
        yield Note(
            "resources.gpus",
            f"About {total / 2**30:.1f} GiB of GPU memory with {cut.micro} x {cut.accumulation} rows"
            f"{' and recomputed activations' if cut.checkpoint_activations else ''}: "
            f"fits an {smallest.name} or larger.",
        )


def precision(request: Request, plan: Plan) -> Iterator[Note]:
    """GPUs that don't compute in bf16."""
    if not request.gpus or request.device is None or request.device.bf16:
        return
    consequence = "computes its products in emulated bf16, several times slower than the GPU can"
    if request.sft.method is not Method.QLORA:
        consequence = "keeps its weights in fp32, twice the memory that bf16 takes"
    yield Note(
        "resources.gpus",
        f"{request.device.name} does not compute in bf16 (GPUs do from Ampere on): {request.sft.method.value} "
        f"{consequence}; the figures here are for that. An NVIDIA L4 or A10 has bf16.",
        warning=True,
    )


def copies(request: Request, plan: Plan) -> Iterator[Note]:
    """Several GPUs divide the rows, not the model."""
    if plan.copies > 1:
        yield Note(
            "resources.gpus",
            f"Each of the {plan.copies} GPUs holds a whole copy of the model ({plan.memory.total / 2**30:.1f} GiB) and "
            "trains its share of each batch: more GPUs are faster, and hold no larger model.",
        )


def dpo_memory(request: Request, plan: Plan) -> Iterator[Note]:
    """DPO holds two answers per row and is often the stage that does not fit."""
    if request.dpo is None or plan.dpo_memory is None or request.device is None or not request.device.memory:
        return
    if plan.dpo_memory.total > HEADROOM * request.device.memory >= plan.memory.total:
        lengths = request.preference_lengths
        longest = lengths.longest if lengths else request.dpo.optimisation.max_length
        yield Note(
            "dpo.maxLength",
            f"SFT fits {request.device.name}, DPO does not: it holds chosen and rejected answers side by side, "
            f"{plan.dpo_memory.total / 2**30:.1f} GiB with one pair of {longest} tokens at a time. Lower "
            f"dpo.maxLength, "
            "or ask for a larger GPU.",
            warning=True,
        )


def merging(request: Request, plan: Plan) -> Iterator[Note]:
    """A merge holds the whole model in 16 bits, although QLoRA trained it in 4."""
    if not plan.merge_memory or request.device is None or not request.device.memory:
        return
    if plan.merge_memory > HEADROOM * request.device.memory:
        yield Note(
            "resources.gpus",
            f"Merging holds {plan.merge_memory / 2**30:.0f} GiB at once (the weights in 16 bits, on one GPU), more "
            f"than "
            f"{request.device.name} has. A GPU that holds it, a smaller model, or serving the adapter without a merge.",
            warning=True,
        )


def rules_of_thumb(request: Request, plan: Plan) -> Iterator[Note]:
    """The two that are often quoted, why they differ, and what this recipe does."""
    if request.sft.method is Method.FULL:
        return
    rate, lora = request.sft.optimisation.learning_rate, request.sft.lora
    yield Note(
        "sft.learningRate",
        f"Two rules of thumb disagree: 5e-5 to 1e-4 is said for LoRA when a little style or safety must not be lost, "
        f"2e-4 comes from the QLoRA paper (arXiv 2305.14314, table 9) for models up to 13B and is what TRL and PEFT "
        f"users "
        f"start from. Both are about ten times the 1e-5 to 2e-5 of full tuning: an adapter starts at zero and its "
        f"update "
        f'is scaled by alpha / rank ("LoRA Without Regret", Thinking Machines 2025, measured the factor of ten). '
        f"Both learn; the lower one forgets less and needs more steps. You have {rate:g}.",
    )
    names = ", ".join(lora.target_modules)
    yield Note(
        "sft.targetModules",
        f"Two rules of thumb disagree: q_proj and v_proj are the LoRA paper's choice (arXiv 2106.09685; half the "
        f"adapter), q/k/v/o adapts all of attention, all-linear is what the QLoRA paper needed to match full tuning. "
        f"You have {names}.",
    )


def rank(request: Request, plan: Plan) -> Iterator[Note]:
    """What a rank is enough for."""
    if request.sft.method is Method.FULL:
        return
    yield Note(
        "sft.rank",
        "Rank by task: 4 to 8 for tone and format, 16 to 32 for a domain's wording and judgement, 64 and more for much "
        "new behaviour from many rows. The LoRA and QLoRA papers saw little gain above 8 once enough modules were "
        f"adapted, so add modules before rank. You have {request.sft.lora.rank}.",
    )


def passes(request: Request, plan: Plan) -> Iterator[Note]:
    """Epochs by the number of rows."""
    steps = request.sft.optimisation
    if steps.max_steps or not request.rows:
        return
    usual = "3 to 5" if request.rows < 1000 else "2 to 3" if request.rows < 10_000 else "1 to 2"
    yield Note(
        "sft.epochs",
        f"Epochs by size: {usual} are usual with {request.rows:,} rows (Alpaca: 3 over 52,000; LIMA: 15 over 1,000 "
        f"answers written by hand). "
        + ("The checkpoint with the best validation loss is published. " if steps.best else "")
        + f"You have {steps.epochs:g}.",
    )


def prompting(request: Request, plan: Plan) -> Iterator[Note]:
    """What may do without training."""
    if not request.few_shot_baseline:
        yield Note(
            "evaluation.baseline",
            "Few-shot first: a handful of good answers in the base's prompt is the cheapest thing that may work (arXiv "
            "2005.14165), and what a tuned model has to beat. Set evaluation.baseline, and it is measured before "
            "training.",
        )
    yield Note(
        "curation.sources",
        "Facts that change belong into retrieval; form and judgement into training. Tuning is a poor way to teach new "
        "facts (arXiv 2312.05934) and makes models invent more (arXiv 2405.05904). Pairs that carry their excerpt in "
        "the "
        "prompt teach reading instead of reciting.",
    )


def general(request: Request, plan: Plan) -> Iterator[Note]:
    """General data keeps what the base could do; without it refusals go first."""
    share = request.general_share
    if share == 0:
        yield Note(
            "curation.general",
            "There is no general data, so what the base could do is likely to be lost, refusals first: on the nano "
            "model "
            "refusals of unsafe prompts fell from 100% to 0%, and with 8% of general rows, a third of them refusals, "
            "98% "
            "were kept (rehearsal: arXiv 2205.12393). Set curation.general with a share of 0.05 to 0.1.",
            warning=True,
        )
    elif share is not None and share < SMALL_SHARE:
        yield Note(
            "curation.general.share",
            f"{share:.1%} of general data is less than the 5 to 10% that kept a base's abilities; the default is 0.08.",
        )
    if share and request.rows and request.general_rows is not None and request.general_rows < share * request.rows / 2:
        yield Note(
            "curation.general.uri",
            f"{request.general_rows} of {request.rows} training rows are general "
            f"({request.general_rows / request.rows:.1%}), {share:.1%} were asked for: the file is too small.",
            warning=True,
        )


def rate(request: Request, plan: Plan) -> Iterator[Note]:
    """Rates that have been seen to diverge, or to learn nothing."""
    full, rate = request.sft.method is Method.FULL, request.sft.optimisation.learning_rate
    tiny = request.shape.parameters < 50_000_000  # nano models take a tenfold rate
    high, low = (5e-5, 5e-7) if full else (5e-4, 1e-5)
    if rate > high * (20 if tiny else 1):
        kind = "full tuning" if full else "an adapter"
        yield Note(
            "sft.learningRate",
            f"{rate:g} is high for {kind} of a model of this size and often diverges; {high / 2.5:g} is usual.",
            warning=True,
        )
    if rate < low:
        yield Note("sft.learningRate", f"{rate:g} is so low that little will be learned.", warning=True)


def scale(request: Request, plan: Plan) -> Iterator[Note]:
    """The factor alpha / rank multiplies the learning rate."""
    lora = request.sft.lora
    factor = lora.alpha / lora.rank
    if request.sft.method is not Method.FULL and not lora.use_rslora and not 0.5 <= factor <= 4:
        yield Note(
            "sft.alpha",
            f"alpha / rank is {factor:g}, which scales every update; 1 to 2 is usual. Raise both together.",
            warning=True,
        )


def amount(request: Request, plan: Plan) -> Iterator[Note]:
    """Too few rows or steps to learn from."""
    if 0 < request.rows < FEW_ROWS:
        yield Note(
            "rows",
            f"{request.rows} training pairs (without the {request.validation_rows} held out) are few: below "
            f"{FEW_ROWS}, "
            "a few examples in the prompt, or retrieval of the label text, usually do as well and need no training.",
            warning=True,
        )
    elif 0 < request.rows < GOOD_ROWS:
        yield Note(
            "rows",
            f"{request.rows} training pairs: 1,000 and more good ones are where tuning has been seen to hold (LIMA, "
            f"arXiv "
            "2305.11206); more varied pairs help before more epochs do.",
        )
    if 0 < plan.sft_steps < FEW_STEPS:
        yield Note(
            "sft.epochs", f"{plan.sft_steps} optimiser steps are few; lower batchSize or raise epochs.", warning=True
        )


def length(request: Request, plan: Plan) -> Iterator[Note]:
    """Rows longer than the model was made for."""
    longest = request.sft.optimisation.max_length
    if longest > request.shape.context:
        yield Note(
            "sft.maxLength",
            f"{longest} is longer than the {request.shape.context} tokens that the model takes.",
            warning=True,
        )


def stopping(request: Request, plan: Plan) -> Iterator[Note]:
    """Many epochs without early stopping memorise."""
    steps = request.sft.optimisation
    if steps.patience == 0 and not steps.max_steps and steps.epochs > 3:
        yield Note("sft.earlyStopping", f"{steps.epochs:g} epochs without early stopping tend to overfit; set it.")


def size(request: Request, plan: Plan) -> Iterator[Note]:
    """What adapting everything costs."""
    lora = request.sft.lora
    if request.sft.method is Method.FULL or ALL_LINEAR in lora.target_modules:
        return
    everything = lora_parameters(request.shape, dataclasses.replace(lora, target_modules=(ALL_LINEAR,)))
    adapted = len({each.short for each in targets(request.shape, lora)})
    yield Note(
        "sft.targetModules",
        f"{adapted} of {len(request.shape.module_names())} kinds of module are adapted: {plan.trainable:,} trainable "
        f"parameters ({plan.trainable / request.shape.parameters:.2%}); all-linear would make it {everything:,}.",
    )


def preferences(request: Request, plan: Plan) -> Iterator[Note]:
    """What DPO continues, and a rate under which it has been seen to go wrong."""
    if request.dpo is None:
        return
    if request.sft.method is not Method.FULL:
        yield Note(
            "dpo.rank",
            "DPO continues the adapter that SFT made, with its rank and modules; the SFT model is the reference.",
        )
    if request.dpo.loss_type == "ipo" and request.dpo.beta < 0.05:
        yield Note(
            "dpo.beta",
            f"With ipo (arXiv 2310.12036) answers are pulled 1 / (2 beta) = {0.5 / request.dpo.beta:.3g} nats per "
            "token apart; beta below 0.05 asks for more than a model can give without breaking. 0.1 to 0.5 is usual.",
            warning=True,
        )
    if request.dpo.optimisation.learning_rate > request.sft.optimisation.learning_rate:
        yield Note(
            "dpo.learningRate",
            "DPO with a higher rate than SFT moves away from what SFT taught: margins rise while accuracy falls.",
            warning=True,
        )


RULES: tuple[Rule, ...] = (
    nf4_blocks,
    memory,
    precision,
    dpo_memory,
    copies,
    merging,
    general,
    rate,
    scale,
    amount,
    length,
    stopping,
    preferences,
    size,
    rank,
    passes,
    *recipe_advice.RULES,
    rules_of_thumb,
    prompting,
)
