"""What this machine can do: device, precision and threads, decided once and written into the result."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch

from posology.core.errors import InvalidInput
from posology.core.jobs.worker import ranks
from posology.training.domain import Method


@dataclass(frozen=True)
class Hardware:
    """The device of one worker; `memory` in bytes, 0 when it is the host's."""

    device: str
    name: str
    memory: int
    threads: int

    @property
    def gpu(self) -> bool:
        return self.device == "cuda"

    def dtype(self, method: Method) -> torch.dtype:
        """What the weights are loaded in.

        A frozen base is bf16 where the hardware is fast at it. Full tuning keeps fp32 weights (bf16 ones swallow
        small updates) under autocast. On a CPU all is fp32, but NF4 computes in bf16 everywhere.
        """
        if method is Method.QLORA:
            return torch.bfloat16
        if method is Method.LORA and self.autocast:
            return torch.bfloat16
        return torch.float32

    @property
    def autocast(self) -> bool:
        """Whether matrix products run in bf16 although some weights are fp32."""
        return self.gpu and torch.cuda.is_bf16_supported()


def detect() -> Hardware:
    """Look once, and pin the threads: oversubscribed ones cost a factor of five to ten."""
    threads = _threads()
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        number = ranks.local_rank()
        if number >= torch.cuda.device_count():
            raise InvalidInput(f"there are {torch.cuda.device_count()} GPUs here, and the spec asks for more")
        torch.cuda.set_device(number)
        properties = torch.cuda.get_device_properties(number)
        return Hardware("cuda", properties.name, properties.total_memory, threads)
    return Hardware("cpu", "CPU", 0, threads)


def _threads() -> int:
    """OMP_NUM_THREADS if the launcher set it, else the CPUs that this process may use."""
    configured = os.environ.get("OMP_NUM_THREADS", "")
    if configured.isdigit() and int(configured) > 0:
        return int(configured)
    return max(1, min(len(os.sched_getaffinity(0)), _cgroup_cpus()))


def _cgroup_cpus() -> int:
    """The CPU limit of the container, a large number when there is none."""
    limit = Path("/sys/fs/cgroup/cpu.max")
    if not limit.exists():
        return 1 << 16
    quota, _, period = limit.read_text().strip().partition(" ")
    return 1 << 16 if quota == "max" else max(1, int(quota) // int(period))
