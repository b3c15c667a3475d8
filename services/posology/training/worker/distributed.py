"""What the processes of one training agree upon, and what only the first of them does.

Everything here is a step that all processes take at the same place; with one process nothing happens.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from posology.core.errors import Internal, InvalidInput
from posology.core.jobs.worker import ranks
from posology.core.jobs.worker.runtime import PeerLost
from posology.training.worker import checkpoints

_STATES = "rng_state*.pth"
_LOST = re.compile(r"gloo|nccl|processgroup|tcpstore|peer|socket", re.IGNORECASE)


def leads() -> bool:
    """Whether this process writes files and speaks to the service."""
    return ranks.rank() == 0


def share(batch_size: int) -> int:
    """The rows of an optimiser step that each process takes."""
    if batch_size % ranks.world():
        raise InvalidInput(
            f"batchSize {batch_size} can't be shared among {ranks.world()} processes evenly; make it a multiple"
        )
    return batch_size // ranks.world()


def any_of(flag: bool) -> bool:
    """Whether any process says so: one that is told to stop stops all of them at the same step."""
    if ranks.world() == 1:
        return flag
    flags = torch.tensor([int(flag)], device=_device())
    dist.all_reduce(flags, op=dist.ReduceOp.MAX)
    return bool(flags.item())


def newest_intact(directory: Path) -> tuple[Path | None, list[str]]:
    """The checkpoint that every process resumes from; on each machine one process moves damaged ones aside."""
    if ranks.world() == 1:
        return checkpoints.newest_intact(directory)
    checked = checkpoints.newest_intact(directory) if ranks.local_rank() == 0 else None
    dist.barrier()
    newest, passed_over = checked or checkpoints.newest_intact(directory)
    steps: list[int | None] = [None] * ranks.world()
    dist.all_gather_object(steps, checkpoints.step_of(newest) if newest else 0)
    if len(set(steps)) > 1:
        raise Internal(f"the processes of this training found checkpoints of different steps: {steps}")
    return newest, passed_over


def complete(folder: Path) -> None:
    """Bring the random state of every process into the first one's checkpoint: without it a resumed run drifts."""
    if ranks.world() == 1:
        return
    mine = {path.name: path.read_bytes() for path in folder.glob(_STATES)}
    states: list[dict[str, bytes] | None] | None = [None] * ranks.world() if leads() else None
    dist.gather_object(mine, states)
    for name, state in {name: state for gathered in states or () for name, state in (gathered or {}).items()}.items():
        if not (folder / name).exists():
            (folder / name).write_bytes(state)


class Synchronised(TrainerCallback):  # type: ignore[misc]
    """Refuses to train when the gradients of several processes would not be summed: each would train a model of its
    own, and nothing but their losses would tell."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if ranks.world() > 1 and not isinstance(self._trainer.model_wrapped, DistributedDataParallel):
            raise Internal("the processes of this training would not share their gradients; nothing was trained")


@contextmanager
def noticing_loss() -> Iterator[None]:
    """PeerLost instead of whatever the network says when another process is gone."""
    try:
        yield
    except RuntimeError as error:
        if ranks.world() > 1 and (isinstance(error, dist.DistError) or _LOST.search(str(error))):
            raise PeerLost(str(error)) from error
        raise


def _device() -> torch.device:
    """Where this training's collectives work: NCCL knows GPUs only."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")
