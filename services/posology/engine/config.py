"""What an engine is told, in two halves: what can change an answer, and what cannot."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class EngineConfig:
    """Everything that can change a token of an answer; a verdict is bound to its digest.

    Template and version are observed when an engine starts, the rest is asked for; where those two are asked for
    as well (serving repeats what was evaluated), an engine that observes others does not become ready.
    """

    dtype: str = "auto"
    """float32, bfloat16, float16, or auto: vLLM's choice for the weights."""
    max_model_len: int = 0
    """Tokens of prompt and answer together; 0 takes the model's own, and the observed one is never 0."""
    enforce_eager: bool = True
    """No torch.compile: 30 s faster to start on a CPU, slower per token on a GPU."""
    seed: int = 0
    """Of sampling; greedy answers do not depend on it."""
    generation_config: str = "vllm"
    """vllm: the engine's own sampling defaults; auto: those of the model's generation_config.json."""
    chat_template: str = ""
    """Digest of the model's chat template (`chat_template_digest`); empty until observed."""
    engine_version: str = ""
    """vLLM's own version, such as 0.32.0; empty until observed."""
    gpu_memory_utilization: float = 0.0
    """Share of a GPU's memory, for weights, keys and values; 0 takes vLLM's own default. No effect on a CPU."""
    max_num_seqs: int = 0
    """Sequences generated together, and so the shape of a batch; 0 takes vLLM's own default."""
    quantization: str = ""
    """Of the weights when they are loaded (`fp8`, `bitsandbytes`); empty serves them as they are stored."""

    def observed(self, *, chat_template: str, engine_version: str, max_model_len: int) -> "EngineConfig":
        """This configuration with what a running engine reports."""
        return replace(self, chat_template=chat_template, engine_version=engine_version, max_model_len=max_model_len)

    def completed(self, other: "EngineConfig") -> "EngineConfig":
        """This configuration with what it leaves open taken from `other`."""
        return replace(
            self,
            max_model_len=self.max_model_len or other.max_model_len,
            chat_template=self.chat_template or other.chat_template,
            engine_version=self.engine_version or other.engine_version,
        )

    def differences(self, other: "EngineConfig") -> tuple[str, ...]:
        """Sentences, one for each field that differs; empty when the two answer alike."""
        mine, theirs = asdict(self), asdict(other)
        changed = [name for name in mine if mine[name] != theirs[name]]
        return tuple(f"{name} is {theirs[name]!r}, not {mine[name]!r}" for name in changed)

    @property
    def digest(self) -> str:
        """`sha256:` and the hash of the canonical JSON of all fields."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, as stored in `engine.json` and in a verdict."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "EngineConfig":
        """The inverse of `to_dict`; an unknown key is a TypeError, for it could change an answer."""
        unknown = set(values) - {f.name for f in fields(cls)}
        if unknown:
            raise TypeError(f"unknown engine settings {sorted(unknown)}")
        return cls(**values)


@dataclass(frozen=True)
class EngineHost:
    """Where an engine runs; none of it changes an answer."""

    python: str
    """The interpreter of an environment that holds vLLM."""
    cache_dir: Path = field(default_factory=lambda: default_cache_dir())
    """Shared by all engines of this machine: what they compile; only the first start is slow."""
    kv_cache_gib: int = 1
    """Memory for keys and values, GiB; used on CPUs only."""
    threads: int = 0
    """Threads of one engine; 0 takes every CPU that this process may use."""
    gpus: int = 0
    """GPUs of one engine; more than one share the model."""
    ready_timeout: float = 300.0
    """Seconds until an engine that does not answer counts as failed."""
    max_logprobs: int = 64
    """Largest number of alternatives that a client may ask for at a position."""

    @property
    def thread_count(self) -> int:
        return self.threads or len(os.sched_getaffinity(0))


def default_cache_dir() -> Path:
    """The user's cache folder: the caches outlive any one data directory and may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "posology" / "engine"


def chat_template_digest(model_dir: Path) -> str:
    """`sha256:` and the hash of the template's bytes; empty where the model has none.

    transformers 5 writes chat_template.jinja, earlier versions a key of tokenizer_config.json.
    """
    template = _template_text(model_dir)
    return "" if template is None else "sha256:" + hashlib.sha256(template.encode()).hexdigest()


def _template_text(model_dir: Path) -> str | None:
    file = model_dir / "chat_template.jinja"
    if file.exists():
        return file.read_text(encoding="utf-8")
    settings = model_dir / "tokenizer_config.json"
    if not settings.exists():
        return None
    template = json.loads(settings.read_text(encoding="utf-8")).get("chat_template")
    return template if template is None or isinstance(template, str) else json.dumps(template, sort_keys=True)
