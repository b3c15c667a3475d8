"""What is likely to go wrong with a plan, and what to know: one function per rule, one line in the list."""

from collections.abc import Callable, Iterator

from posology.training.domain import ALL_LINEAR, Method, Note
from posology.training.planning.devices import smallest_for
from posology.training.planning.memory import HEADROOM
from posology.training.planning.planned import Plan, Request
from posology.training.planning.shapes import targets

NF4_BLOCK = 64
FEW_ROWS = 200
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
    elif request.gpus and not request.device and smallest:
        cut = plan.batches
        yield Note(
            "resources.gpus",
            f"About {total / 2**30:.1f} GiB of GPU memory with {cut.micro} x {cut.accumulation} rows"
            f"{' and recomputed activations' if cut.checkpoint_activations else ''}: "
            f"fits an {smallest.name} or larger.",
        )


def rules_of_thumb(request: Request, plan: Plan) -> Iterator[Note]:
    """The two that are often quoted, why they differ, and what this recipe does."""
    if request.sft.method is Method.FULL:
        return
    rate, lora = request.sft.optimisation.learning_rate, request.sft.lora
    yield Note(
        "sft.learningRate",
        f"Two rules of thumb disagree: 5e-5 to 1e-4 is said for LoRA when a little style or safety must not be lost, "
        f"2e-4 comes from the QLoRA paper for models up to 13B and is what TRL and PEFT users start from. "
        f"You have {rate:g}; both learn, the lower one forgets less and needs more steps.",
    )
    names = ", ".join(lora.target_modules)
    yield Note(
        "sft.targetModules",
        f"Two rules of thumb disagree: q_proj and v_proj are the LoRA paper's choice (half the adapter), q/k/v/o "
        f"adapts all of attention, all-linear is what the QLoRA paper needed to match full tuning. You have {names}.",
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
    if request.sft.method is not Method.FULL and not 0.5 <= factor <= 4:
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
            f"{request.rows} training pairs are few: below {FEW_ROWS}, a few examples in the prompt, or retrieval "
            "of the label text, usually do as well and need no training.",
            warning=True,
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
    everything = sum(lora.rank * (each.inputs + each.outputs) for each in request.shape.linears)
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
    if request.dpo.optimisation.learning_rate > request.sft.optimisation.learning_rate:
        yield Note(
            "dpo.learningRate",
            "DPO with a higher rate than SFT moves away from what SFT taught: margins rise while accuracy falls.",
            warning=True,
        )


RULES: tuple[Rule, ...] = (
    nf4_blocks,
    memory,
    rate,
    scale,
    amount,
    length,
    stopping,
    preferences,
    size,
    rules_of_thumb,
)
