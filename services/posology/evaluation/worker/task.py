"""What one evaluation job is told, and where its engines run."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from posology.core.jobs.domain import Resources
from posology.core.jobs.worker.runtime import JobContext
from posology.engine import EngineConfig, EngineHost
from posology.evaluation import convert, few_shot, judging, suites
from posology.evaluation.domain import Development, Policy, Suite, SuiteKind
from posology.evaluation.judging import Compared
from posology.evaluation.suites import Item, Question


@dataclass(frozen=True)
class Task:
    """Folders of verified copies, items by suite, and the policy; digests are what folders are copies of."""

    model: str
    base: str
    """What gates compare with."""
    tuned_from: str
    """What the adapter was trained over."""
    adapter: str
    suites_artifact: str
    policy: Policy
    engine: EngineConfig
    items: Mapping[str, tuple[Item, ...]]
    reuse: Mapping[str, str]
    """By suite: the artifact of an earlier evaluation that scored this base."""
    development: bool = False
    """Score what chooses a dose: no parity, but how far tuning moved the model."""
    judge: Mapping[str, str] = field(default_factory=dict)
    """`modelEndpoint` and `model` (may be empty), where a judge compares answers."""
    calibration: tuple[Compared, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)
    """By suite, of LM_EVAL: the rows."""
    baseline: bool = False
    """Score the base alone, with `shots` in its prompt."""
    shots: tuple[Question, ...] = ()

    @property
    def rivals(self) -> tuple[Suite, ...]:
        """Suites on which the base is scored with examples in its prompt, too."""
        named = {gate.suite for gate in self.policy.gates if gate.min_gain_over_few_shot is not None}
        return tuple(suite for suite in self.policy.suites if suite.name in named)

    @property
    def count(self) -> int:
        """Items of one model."""
        return sum(len(items) for items in self.items.values())

    @property
    def total(self) -> int:
        """Items of all models."""
        if self.baseline:
            return self.count
        return 2 * self.count + sum(len(self.items[suite.name]) for suite in self.rivals)

    def prompts(self, most: int, measuring: Development | None = None) -> list[str]:
        """Up to `most` prompts, taken from the suites in turn; of development suites those that measure this."""
        names = [suite.name for suite in self.policy.suites if suite.development is measuring or measuring is None]
        chosen = [self.items[name] for name in names]
        turns = max((len(items) for items in chosen), default=0)
        mixed = [items[i].prompt for i in range(turns) for items in chosen if i < len(items)]
        return mixed[:most]


def read(ctx: JobContext) -> Task:
    """The task of a job's spec; suites are read from their pinned artifact, not from where they came."""
    job: dict[str, Any] = ctx.spec
    spec = job["spec"]
    policy = convert.policy_from_spec(spec, job["digests"])
    folder = ctx.input(job["suites"])
    items = {
        s.name: suites.parse((folder / f"{s.name}.jsonl").read_bytes(), s.kind, name=s.name) for s in policy.suites
    }
    examples: tuple[Question, ...] = ()
    if policy.baseline and (spec.get("baseline") or any(g.min_gain_over_few_shot is not None for g in policy.gates)):
        name, count = policy.baseline.suite, policy.baseline.shots
        pool = items.get(name) or suites.parse(  # a rival's suite need not be among those that gates name
            (folder / f"{name}.jsonl").read_bytes(), SuiteKind.MULTIPLE_CHOICE, name=name
        )
        examples = few_shot.shots(pool, count)
        items = {**items, name: few_shot.without_shots(pool, count)} if spec.get("baseline") else items
    return Task(
        model=spec["model"],
        base=spec["baseModel"],
        tuned_from=spec.get("tunedFrom") or spec["baseModel"],
        adapter=spec.get("adapter", ""),
        suites_artifact=job["suites"],
        policy=policy,
        engine=convert.engine_from_spec(spec),
        items=items,
        reuse=job.get("reuse", {}),
        development=bool(spec.get("development")),
        judge=spec["evaluation"].get("judge", {}),
        calibration=_calibration(folder),
        files={s.name: folder / f"{s.name}.jsonl" for s in policy.suites if s.lm_eval},
        baseline=bool(spec.get("baseline")),
        shots=examples,
    )


def _calibration(folder: Path) -> tuple[Compared, ...]:
    path = folder / f"{judging.CALIBRATION}.jsonl"
    return judging.parse_calibration(path.read_bytes()) if path.exists() else ()


def engine_host(job: Mapping[str, Any]) -> EngineHost:
    """From the environment that the service gave to this worker, with the GPUs that the job asked for."""
    options: dict[str, Any] = {
        "python": os.environ.get("POSOLOGY_ENGINE_PYTHON") or sys.executable,
        "threads": int(os.environ.get("POSOLOGY_ENGINE_THREADS", "0")),
        "kv_cache_gib": int(os.environ.get("POSOLOGY_ENGINE_KV_CACHE_GIB", "1")),
        "gpus": convert.resources_from_spec(job["spec"], Resources()).gpus,
    }
    if cache := os.environ.get("POSOLOGY_ENGINE_CACHE_DIR"):
        options["cache_dir"] = Path(cache)
    return EngineHost(**options)


def requests_in_flight() -> int:
    """Requests that may be open to the engine at the same time."""
    return int(os.environ.get("POSOLOGY_REQUESTS_IN_FLIGHT", "16"))
