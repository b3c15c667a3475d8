"""One evaluation: the candidate, then its base (or what an earlier evaluation knows of it), then parity."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from importlib import import_module
from typing import Any

from posology.core.jobs.worker.runtime import JobContext, Result, Stopped
from posology.engine import Engine, EngineConfig
from posology.evaluation import items
from posology.evaluation.domain import BASE, TUNED, Answer, Choice, ParityStep, Suite
from posology.evaluation.worker import parity_inputs, scoring, summary, task
from posology.evaluation.worker.client import EngineClient
from posology.evaluation.worker.task import Task

PROBES, PROBE_TOKENS = 8, 32
PARITY_TOP, PARITY_TOKENS = 20, 32
Scores = dict[str, list[Choice | Answer]]


def evaluate(ctx: JobContext) -> Result:
    """Score, compare, and leave the items; what they prove is for the control process to say."""
    job = task.read(ctx)
    run = _Run(ctx, job)
    _until_stopped(ctx, run.score_both())
    steps = run.compare()
    lines = [
        items.line(suite, model, item)
        for model, scores in ((BASE, run.base), (TUNED, run.tuned))
        for suite, scored in scores.items()
        for item in scored
    ]
    (ctx.output / items.ITEMS).write_text(items.write(lines), encoding="utf-8")
    _write(ctx, items.PARITY, items.parity_json(steps))
    _write(ctx, items.ENGINE, {name: config.to_dict() for name, config in run.engines.items()})
    _write(ctx, items.PROBES, run.probes)
    return Result(
        "evaluation",
        parents=tuple(d for d in (job.model, job.base, job.adapter, job.suites_artifact) if d),
        parameters={"engine": run.engines[TUNED].to_dict()},
        summary=summary.summary(run.base, run.tuned, steps) | {"reused": sorted(run.reused)},
    )


class _Run:
    """What is gathered on the way."""

    def __init__(self, ctx: JobContext, job: Task) -> None:
        self.ctx, self.job = ctx, job
        self.host = task.engine_host(ctx.spec)
        self.tuned: Scores = {}
        self.base: Scores = {}
        self.engines: dict[str, EngineConfig] = {}
        self.probes: list[dict[str, Any]] = []
        self.served: list[parity_inputs.Served] = []
        self.reused: set[str] = set()
        self._done = 0

    async def score_both(self) -> None:
        """The candidate first: the engine it meets decides whether earlier scores of the base still count."""
        loading = asyncio.create_task(asyncio.to_thread(_load_libraries))
        async with self._engine(TUNED, self.job.model) as (engine, client):
            await loading
            self.tuned = await self._score(client, TUNED, self.job.model, self.job.policy.suites)
            self.probes = [p.to_dict() for p in await engine.probe(self.job.prompts(PROBES), max_tokens=PROBE_TOKENS)]
            self.served = await self._served(client)
        self._reuse()
        rest = [suite for suite in self.job.policy.suites if suite.name not in self.base]
        if rest:
            async with self._engine(BASE, self.job.base) as (_, client):
                self.base |= await self._score(client, BASE, self.job.base, rest)
        self.base = {suite.name: self.base[suite.name] for suite in self.job.policy.suites}

    def compare(self) -> list[ParityStep]:
        """The ladder, measured by this process against what the engine said."""
        from posology.evaluation.worker import parity

        self._tell("comparing adapter, merged and served model")
        return list(parity.ladder(self.ctx.input(self.job.model), self.served, self._trained()))

    def _trained(self) -> parity_inputs.Trained | None:
        folder = self.ctx.input(self.job.adapter) if self.job.adapter else None
        if folder is None or not (folder / "adapter_config.json").exists():
            return None
        record = parity_inputs.training_record(folder)
        base = self.ctx.input(str(record.get("base") or self.job.tuned_from))
        return parity_inputs.Trained(folder, base, str(record.get("method", "LORA")))

    @contextlib.asynccontextmanager
    async def _engine(self, model: str, digest: str) -> AsyncIterator[tuple[Engine, EngineClient]]:
        self._tell(f"starting the engine of the {model} model")
        log = self.ctx.workdir / f"engine-{model}.log"
        async with (
            Engine.start(self.ctx.input(digest), self.job.engine, host=self.host, log=log) as engine,
            EngineClient.open(engine.url, name=engine.name, in_flight=task.requests_in_flight()) as client,
        ):
            self.engines[model] = engine.config
            yield engine, client

    async def _score(
        self, client: EngineClient, model: str, digest: str, suites: list[Suite] | tuple[Suite, ...]
    ) -> Scores:
        from posology.evaluation.worker.tokens import Template

        template = Template(self.ctx.input(digest))
        scores: Scores = {}
        for suite in suites:

            def count(name: str = suite.name) -> None:
                self._done += 1
                self._tell(f"{model}: {name}")

            scores[suite.name] = await scoring.score(client, template, suite, self.job.items[suite.name], on_item=count)
        return scores

    async def _served(self, client: EngineClient) -> list[parity_inputs.Served]:
        """Greedy answers of the served model, and its distributions over prompt and answer."""
        prompts = self.job.prompts(self.job.policy.parity.prompts)

        async def one(prompt: str) -> parity_inputs.Served:
            answer = await client.generate(prompt, max_tokens=PARITY_TOKENS)
            ids = answer.prompt_token_ids + answer.token_ids
            return parity_inputs.Served(ids, tuple(await client.distributions(ids, top=PARITY_TOP)))

        return list(await asyncio.gather(*(one(prompt) for prompt in prompts)))

    def _reuse(self) -> None:
        """Take the base's items from earlier evaluations made with the very engine that was just met."""
        for suite, artifact in self.job.reuse.items():
            folder = self.ctx.input(artifact)
            engine = EngineConfig.from_dict(json.loads((folder / items.ENGINE).read_text())[BASE])
            if engine.engine_version != self.engines[TUNED].engine_version:
                self.ctx.log(f"{suite}: the base is scored anew", reason="another engine version")
                continue
            lines = items.read_lines((folder / items.ITEMS).read_bytes())
            mine = [line for line in lines if line["suite"] == suite and line["model"] == BASE]
            self.base[suite] = [items.choice(x) if "scores" in x else items.answer(x) for x in mine]
            self.engines[BASE] = engine
            self.reused.add(suite)
            self._done += len(mine)

    def _tell(self, message: str) -> None:
        self.ctx.progress(self._done, 2 * self.job.count, message)


def _until_stopped(ctx: JobContext, work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; when the job shall stop, cancel it (which ends its engine) and raise Stopped."""

    async def watched() -> None:
        doing = asyncio.ensure_future(work)
        while not doing.done():
            if ctx.stopping.is_set():
                doing.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await doing
                raise Stopped
            await asyncio.wait({doing}, timeout=0.2)
        await doing

    asyncio.run(watched())


def _load_libraries() -> None:
    """Import torch and its kin while the engine starts: each takes seconds, and the engine leaves a core idle."""
    import_module("posology.evaluation.worker.tokens")
    import_module("posology.evaluation.worker.parity")


def _write(ctx: JobContext, name: str, value: Any) -> None:
    (ctx.output / name).write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")
