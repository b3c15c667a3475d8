"""The command line and the environment of one vLLM process."""

import os
from collections.abc import Mapping
from pathlib import Path

from posology.engine.config import EngineConfig, EngineHost


def command(
    model_dir: Path, config: EngineConfig, host: EngineHost, *, name: str, port: int = 0, socket: Path | None = None
) -> list[str]:
    """vLLM's OpenAI server on a port of loopback or on a socket file; `name` is what clients call the model."""
    words = [host.python, "-m", "vllm.entrypoints.openai.api_server"]
    words += ["--model", str(model_dir), "--served-model-name", name]
    words += ["--uds", str(socket)] if socket else ["--host", "127.0.0.1", "--port", str(port)]
    words += ["--dtype", config.dtype, "--seed", str(config.seed)]
    words += ["--generation-config", config.generation_config]
    words += ["--max-model-len", str(config.max_model_len)] if config.max_model_len else []
    words += ["--max-num-seqs", str(config.max_num_seqs)] if config.max_num_seqs else []
    words += ["--quantization", config.quantization] if config.quantization else []
    if config.gpu_memory_utilization and host.gpus:
        words += ["--gpu-memory-utilization", str(config.gpu_memory_utilization)]
    words += ["--max-logprobs", str(host.max_logprobs), "--shutdown-timeout", "30"]
    words += ["--enforce-eager"] if config.enforce_eager else []
    words += ["--distributed-executor-backend", "uni"] if _one_process(config, host) else []
    words += ["--tensor-parallel-size", str(host.gpus)] if host.gpus > 1 else []
    return words


def environment(
    host: EngineHost, config: EngineConfig, *, inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The parent's environment with shared caches and no reach to the network.

    Bytecode lies beside the libraries. PYTHONDONTWRITEBYTECODE must go all the same: where an environment was made
    without, each start would compile torch and vLLM anew, which takes longer than everything else together
    (measured: 56 s against 13 s on two cores).
    """
    values = dict(os.environ if inherited is None else inherited)
    values.pop("PYTHONDONTWRITEBYTECODE", None)
    values.pop("PYTHONPATH", None)
    return values | _caches(host.cache_dir) | _behaviour(host) | _compilation(config)


def _caches(root: Path) -> dict[str, str]:
    return {
        "VLLM_CACHE_ROOT": str(root / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(root / "inductor"),
        "VLLM_USE_AOT_COMPILE": "0",  # its cache is never reused on a CPU
    }


def _compilation(config: EngineConfig) -> dict[str, str]:
    """Eager means eager everywhere: vLLM compiles some helpers of its sampler even then, which takes a C++ compiler
    that an image need not have, and the first question of each engine waits for it."""
    return {"TORCHDYNAMO_DISABLE": "1"} if config.enforce_eager else {}


def _behaviour(host: EngineHost) -> dict[str, str]:
    return {
        "VLLM_CPU_KVCACHE_SPACE": str(host.kv_cache_gib),
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_DO_NOT_TRACK": "1",
        "VLLM_MAX_N_SEQUENCES": "16",
        **({"VLLM_ENABLE_V1_MULTIPROCESSING": "0"} if host.gpus < 2 else {}),  # one process: fewer imports
        "VLLM_LOGGING_COLOR": "0",
        "OMP_NUM_THREADS": str(host.thread_count),
        # Threads that spin between the many short parallel regions burn the CPUs of everybody else: under load a
        # question of a small model took 90 ms of CPU with spinning, and 13 ms without; alone it is equally fast.
        "OMP_WAIT_POLICY": "PASSIVE",
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _one_process(config: EngineConfig, host: EngineHost) -> bool:
    # Compiled graphs bind threads in a worker process of their own; eager mode needs none. GPUs need one each.
    return config.enforce_eager and host.gpus < 2
