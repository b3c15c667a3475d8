"""The candidate, then its base (or what an earlier evaluation knows of it), each in an engine; then parity."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from posology.core.canonical import canonical_digest
from posology.core.jobs.worker.runtime import JobContext
from posology.engine import Engine, EngineConfig
from posology.evaluation import items
from posology.evaluation.domain import (
    BASE,
    FEW_SHOT,
    TUNED,
    Answer,
    Choice,
    Development,
    ExactCheck,
    MergeProof,
    ParityStep,
    Suite,
)
from posology.evaluation.suites import records as read_records
from posology.evaluation.worker import harness, parity_inputs, scoring, task
from posology.evaluation.worker.client import EngineClient
from posology.evaluation.worker.journal import Journal
from posology.evaluation.worker.parity_inputs import Control, Forced, Trained
from posology.evaluation.worker.scoring import Scored
from posology.evaluation.worker.task import Task

if TYPE_CHECKING:  # the real import takes seconds, and happens while the engine starts
    from posology.evaluation.worker.tokens import Template

PROBES, PROBE_TOKENS = 8, 32
PARITY_TOP, PARITY_TOKENS = 20, 32
INTENSITY_PROMPTS = 128
PARITY_CONVERSATIONS = 8
HAND_ON_SECONDS = 60.0
Scores = dict[str, Scored | list[Choice | Answer]]


@dataclass(frozen=True)
class ParityChain:
    """The parity chain as measured, and the control that it was measured against."""

    steps: list[ParityStep]
    merge: MergeProof | None
    exact: list[ExactCheck]
    control: Control


class Measurement:
    """What is gathered of both models on the way; `close` it when all of it was read."""

    def __init__(self, ctx: JobContext, job: Task) -> None:
        self.ctx, self.job = ctx, job
        self.host = task.engine_host(ctx.spec)
        self.tuned: Scores = {}
        self.base: Scores = {}
        self.few_shot: Scores = {}
        """Of the base, behind examples; of the suites on which it is a rival."""
        self.engines: dict[str, EngineConfig] = {}
        self.probes: list[dict[str, Any]] = []
        self.served: list[parity_inputs.Served] = []
        self.base_served: list[parity_inputs.Served] | None = None
        """None until the base had its turn; empty where a kept control stands for it."""
        self.control: Control | None = None
        self.reused: set[str] = set()
        self.pace: dict[str, float] = {}
        """Seconds an item and model, by suite: of the model that was scored last."""
        self._done = 0
        self._harnesses: dict[str, harness.Harness] = {}
        self._journals = contextlib.ExitStack()

    def close(self) -> None:
        """Close the journals: what was scored is read from them until then."""
        self._journals.close()

    async def score_both(self) -> None:
        """Both models through one engine after the other.

        Parity takes the base's own answers as its token sequences. Where an earlier evaluation left them, the candidate
        comes first: the engine it meets decides whether what is known of the base still counts.
        """
        loading = asyncio.create_task(asyncio.to_thread(_load_libraries))
        handing_on = asyncio.create_task(self._hand_on())
        if self.job.baseline:
            await self._score_few_shot(loading)
            handing_on.cancel()
            return
        self.control = self._kept_control()
        if self.control is None:
            await self._score_base(loading)
        await self._score_tuned(loading)
        if self.base_served is None:
            await self._score_base(loading)
        self.base = {suite.name: self.base[suite.name] for suite in self.job.policy.suites if suite.kind.compared}
        handing_on.cancel()

    async def _score_tuned(self, loading: asyncio.Task[None]) -> None:
        async with self._engine(TUNED, self.job.model) as (engine, client):
            await loading
            self.tuned = await self._score(client, TUNED, self.job.model, self.job.policy.suites)
            if self.job.development:
                return
            self.probes = [p.to_dict() for p in await engine.probe(self.job.prompts(PROBES), max_tokens=PROBE_TOKENS)]
            sequences = self.control.sequences if self.control else _forced(self.base_served or ())
            self.served = await self._distributions(client, TUNED, self.job.model, sequences)

    async def _score_few_shot(self, loading: asyncio.Task[None]) -> None:
        async with self._engine(BASE, self.job.base) as (engine, client):
            await loading
            self.engines[BASE] = engine.config
            self.few_shot = await self._score(client, FEW_SHOT, self.job.base, self.job.policy.suites)

    async def _score_base(self, loading: asyncio.Task[None]) -> None:
        """What no earlier evaluation knows of the base; without an engine of its own if that is nothing."""
        version = self.engines[TUNED].engine_version if TUNED in self.engines else ""
        if version:
            self._reuse(version)
        same = self.control is not None and self.control.engine_version == version
        if same and not self._unscored() and not self.job.rivals:
            self.base_served = []
            return
        async with self._engine(BASE, self.job.base) as (engine, client):
            await loading
            observed = engine.config
            self._reuse(observed.engine_version)
            self.engines[BASE] = observed
            self.base |= await self._score(client, BASE, self.job.base, self._unscored())
            self.few_shot = await self._score(client, FEW_SHOT, self.job.base, self.job.rivals)
            if same:
                self.base_served = []
            else:
                sequences = list(self.control.sequences) if self.control else await self._answers(client)
                self.base_served = await self._distributions(client, BASE, self.job.base, sequences)

    def _unscored(self) -> list[Suite]:
        return [suite for suite in self.job.policy.suites if suite.kind.compared and suite.name not in self.base]

    def compare(self) -> ParityChain:
        """The chain, measured by this process against what the engines said."""
        from posology.evaluation.worker import identity, parity
        from posology.evaluation.worker.tokens import Template

        self.tell("comparing trained, merged and served model with the base through the same paths")
        merged, base, trained = self.ctx.input(self.job.model), self.ctx.input(self.job.base), self._trained()
        if self.base_served:
            measured = parity.controls(base, self.base_served, trained, merged)
            sequences = tuple(_forced(self.base_served))
            self.control = Control(self._control_key(), self.engines[BASE].engine_version, sequences, measured)
        assert self.control is not None
        steps, proof = parity.chain(merged, self.served, trained, dict(self.control.steps))
        source = trained.base if trained else base
        exact = identity.checks(
            source,
            merged,
            templates=(Template(source), Template(merged)),
            prompts=self.job.prompts(PARITY_CONVERSATIONS),
            adapter=self.job.adapter if trained else "",
        )
        return ParityChain(steps, proof, list(exact), self.control)

    def intensity(self) -> dict[str, Any]:
        """How far tuning moved the model on the base's own answers to general prompts: see `window.Dose.intensity`."""
        from posology.evaluation.worker import intensity
        from posology.evaluation.worker.tokens import Template

        self.tell("measuring how far tuning moved the model")
        merged, base = self.ctx.input(self.job.model), self.ctx.input(self.job.base)
        if self.base_served:
            sequences = tuple(_forced(self.base_served))
            self.control = Control(self._control_key(), self.engines[BASE].engine_version, sequences, {})
        assert self.control is not None
        template = Template(base)
        starts = [len(template.prompt(prompt)) for prompt in self._prompts()]
        answers = [(one.ids, start) for one, start in zip(self.control.sequences, starts, strict=True)]
        return intensity.measure(merged, base, answers)

    def _trained(self) -> Trained | None:
        folder = self.ctx.input(self.job.adapter) if self.job.adapter else None
        if folder is None or not (folder / "adapter_config.json").exists():
            return None
        record = parity_inputs.training_record(folder)
        base = self.ctx.input(str(record.get("base") or self.job.base))
        return Trained(folder, base, str(record.get("method", "LORA")), str(record.get("dtype", "")))

    def _control_key(self) -> str:
        return parity_inputs.control_key(
            base=self.job.base,
            adapted=self._trained() is not None,
            dtype=parity_inputs.stored_dtype(self.ctx.input(self.job.model)),
            engine=self.job.engine.to_dict(),
            gpus=self.host.gpus > 0,
            prompts=self._prompts(),
        )

    def _kept_control(self) -> Control | None:
        """The control of an earlier evaluation that scored this base, if all that decides it is the same."""
        for artifact in dict.fromkeys(self.job.reuse.values()):
            path = self.ctx.input(artifact) / parity_inputs.CONTROL
            if path.exists() and (kept := Control.from_json(json.loads(path.read_text()))).key == self._control_key():
                return kept
        return None

    @contextlib.asynccontextmanager
    async def _engine(self, model: str, digest: str) -> AsyncIterator[tuple[Engine, EngineClient]]:
        self.tell(f"starting the engine of the {model} model")
        log = self.ctx.workdir / f"engine-{model}.log"
        async with (
            Engine.start(self.ctx.input(digest), self.job.engine, host=self.host, log=log) as engine,
            EngineClient.open(
                engine.url,
                name=engine.name,
                in_flight=task.requests_in_flight(),
                context=engine.config.max_model_len,
            ) as client,
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
                self.tell(f"{model}: {name}")

            if suite.lm_eval:
                scores[suite.name] = await self._by_harness(client, template, suite, model, digest, count)
                continue
            decided_by = {"suite": suite.digest, "scoring": suite.scoring.value, "maxTokens": suite.max_tokens}
            shots = self.job.shots if model == FEW_SHOT else ()
            if shots:
                decided_by["shots"] = canonical_digest([[shot.id, shot.prompt, *shot.choices] for shot in shots])
            journal = self.journal(model, digest, kind=suite.kind.value, name=suite.name, **decided_by)
            known, began = len(journal), time.monotonic()
            scores[suite.name] = await scoring.score(
                client, template, suite, self.job.items[suite.name], journal=journal, on_item=count, shots=shots
            )
            if scored := len(journal) - known:
                self.pace[suite.name] = round((time.monotonic() - began) / scored, 4)
            await asyncio.to_thread(self.ctx.checkpoint)
        return scores

    async def _by_harness(
        self,
        client: EngineClient,
        template: "Template",
        suite: Suite,
        model: str,
        digest: str,
        on_item: Callable[[], None],
    ) -> list[Choice | Answer]:
        assert suite.lm_eval is not None
        if suite.name not in self._harnesses:
            rows = read_records(self.job.files[suite.name].read_bytes(), suite.name)
            shots = suite.lm_eval.few_shot
            made = await asyncio.to_thread(harness.load, suite.lm_eval, rows[shots:], rows[:shots])
            self._harnesses[suite.name] = made
            self.ctx.log(f"{suite.name}: a task of lm-evaluation-harness", **made.identity)
        made = self._harnesses[suite.name]
        decided_by = {"suite": suite.digest, "fewShot": suite.lm_eval.few_shot, **made.identity}
        journal = self.journal(model, digest, kind=suite.kind.value, **decided_by)
        metric = suite.lm_eval.metric
        return list(await harness.score(client, template, suite.name, made, metric, journal=journal, on_item=on_item))

    async def _answers(self, client: EngineClient) -> list[Forced]:
        """Prompts with the base's greedy answers behind them."""
        journal = self.journal(BASE, self.job.base, kind="parity answers", tokens=PARITY_TOKENS)

        async def one(prompt: str) -> Forced:
            if prompt not in journal:
                answer = await client.generate(prompt, max_tokens=PARITY_TOKENS)
                journal.append(prompt, [answer.prompt_token_ids, answer.token_ids])
            return parity_inputs.forced(*journal.read(prompt))

        return list(await asyncio.gather(*(one(prompt) for prompt in self._prompts())))

    def _prompts(self) -> list[str]:
        """Whose answers by the base are compared."""
        if self.job.development:
            return self.job.prompts(INTENSITY_PROMPTS, Development.SIDE_EFFECT)
        return self.job.prompts(self.job.policy.parity.prompts)

    async def _distributions(
        self, client: EngineClient, model: str, digest: str, sequences: Iterable[Forced]
    ) -> list[parity_inputs.Served]:
        """What the engine says at the last positions of each sequence; nothing is asked where no parity is measured."""
        if self.job.development:
            return [parity_inputs.Served(one.ids, tuple({} for _ in range(one.positions))) for one in sequences]
        journal = self.journal(model, digest, kind="parity distributions", top=PARITY_TOP)

        async def one(forced: Forced) -> parity_inputs.Served:
            name = f"{forced.positions}: {' '.join(map(str, forced.ids))}"
            if name not in journal:
                places = await client.distributions(forced.ids, top=PARITY_TOP, last=forced.positions)
                journal.append(name, [list(place.items()) for place in places])
            return parity_inputs.Served(forced.ids, tuple(dict(place) for place in journal.read(name)))

        return list(await asyncio.gather(*(one(forced) for forced in sequences)))

    def journal(self, model: str, digest: str, **decided_by: Any) -> Journal:
        """Where the items of these weights, under these settings and this engine, are kept for the next attempt."""
        engine = self.engines[BASE if model == FEW_SHOT else model].to_dict()
        journal = Journal(
            self.ctx.workdir / "journal",
            {"weights": digest, "engine": engine, "gpus": self.host.gpus, "form": 1, **decided_by},
        )
        self._journals.callback(journal.close)
        if len(journal):
            self.ctx.log("an earlier attempt measured some already", items=len(journal), **decided_by)
        return journal

    async def _hand_on(self) -> None:
        """Where the workdir ends with this worker's node, let the next attempt have what there is."""
        while True:
            await asyncio.sleep(HAND_ON_SECONDS)
            await asyncio.to_thread(self.ctx.checkpoint)

    def _reuse(self, version: str) -> None:
        """Take the base's items from earlier evaluations made with the very engine that was just met."""
        for suite, artifact in self.job.reuse.items():
            folder = self.ctx.input(artifact)
            engine = EngineConfig.from_dict(json.loads((folder / items.ENGINE).read_text())[BASE])
            if suite in self.reused:
                continue
            if engine.engine_version != version:
                self.ctx.log(f"{suite}: the base is scored anew", reason="another engine version")
                continue
            lines = items.read_lines((folder / items.ITEMS).read_bytes())
            mine = [line for line in lines if line["suite"] == suite and line["model"] == BASE]
            self.base[suite] = [items.choice(x) if "scores" in x else items.answer(x) for x in mine]
            self.engines[BASE] = engine
            self.reused.add(suite)
            self._done += len(mine)

    def tell(self, message: str) -> None:
        """Say what is being done."""
        self.ctx.progress(self._done, self.job.total, message)


def _forced(served: Iterable[parity_inputs.Served]) -> list[Forced]:
    return [Forced(one.ids, len(one.places)) for one in served]


def _load_libraries() -> None:
    """Import torch and its kin while the engine starts: each takes seconds, and the engine leaves a core idle."""
    import_module("posology.evaluation.worker.tokens")
    import_module("posology.evaluation.worker.parity")
