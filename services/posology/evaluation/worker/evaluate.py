"""One evaluation from its task to the files that it leaves; `measurement` has the engines and the scores."""

import asyncio
import contextlib
import json
from collections.abc import Coroutine
from typing import Any

from posology.core.canonical import canonical_digest
from posology.core.jobs.worker.runtime import JobContext, Result, Stopped
from posology.evaluation import human, items, judging, refusal_judging, regressions
from posology.evaluation.development import INTENSITY
from posology.evaluation.domain import BASE, FEW_SHOT, TUNED, Answer, Refusal, SuiteKind
from posology.evaluation.worker import parity_inputs, summary, task
from posology.evaluation.worker.judge import Judge
from posology.evaluation.worker.measurement import Measurement


def evaluate(ctx: JobContext) -> Result:
    """Score, compare, and leave the items; what they prove is for the control process to say."""
    job = task.read(ctx)
    with contextlib.closing(Measurement(ctx, job)) as run:
        _until_stopped(ctx, run.score_both())
        if job.baseline:
            return _baseline(ctx, run)
        if job.development:
            return _development(ctx, run)
        judged = _judged(ctx, run)
        labelled = _refusals(ctx, run)
        chain = run.compare()
        _write_items(ctx, run)
        if rated := [row for suite in job.policy.suites for row in human.rows(suite, job.items[suite.name], run.tuned)]:
            (ctx.output / human.FILE).write_text(items.write(rated), encoding="utf-8")
        if labelled:
            (ctx.output / refusal_judging.FILE).write_text(items.write(labelled), encoding="utf-8")
        if judged:
            (ctx.output / judging.FILE).write_text(items.write(judged), encoding="utf-8")
        _write(ctx, items.PARITY, items.parity_json(chain.steps, chain.merge, chain.exact))
        _write(ctx, parity_inputs.CONTROL, chain.control.to_json())
        _write(ctx, items.ENGINE, {name: config.to_dict() for name, config in run.engines.items()})
        _write(ctx, items.PROBES, run.probes)
        _write(ctx, items.PACE, run.pace)
        lost = [
            regressions.of_suite(suite, job.items[suite.name], run.base[suite.name], run.tuned[suite.name])
            for suite in job.policy.suites
            if suite.kind.compared
        ]
        _write(ctx, regressions.FILE, {"suites": [one for one in lost if one["lost"]]})
        return Result(
            "evaluation",
            parents=tuple(d for d in (job.model, job.base, job.adapter, job.suites_artifact) if d),
            parameters={"engine": run.engines[TUNED].to_dict()},
            summary=summary.summary(run.base, run.tuned, chain.steps, few_shot=run.few_shot)
            | {"reused": sorted(run.reused)},
        )


def _development(ctx: JobContext, run: Measurement) -> Result:
    """Scores and intensity: what chooses a dose. Nothing is compared with what would be served."""
    measured = run.intensity()
    assert run.control is not None
    _write_items(ctx, run)
    _write(ctx, INTENSITY, measured)
    _write(ctx, parity_inputs.CONTROL, run.control.to_json())
    _write(ctx, items.ENGINE, {name: config.to_dict() for name, config in run.engines.items()})
    return Result(
        "evaluation",
        parents=tuple(d for d in (run.job.model, run.job.base, run.job.suites_artifact) if d),
        parameters={"engine": run.engines[TUNED].to_dict(), "development": True},
        summary=summary.summary(run.base, run.tuned, ()) | {"reused": sorted(run.reused), "intensity": measured},
    )


def _baseline(ctx: JobContext, run: Measurement) -> Result:
    """Scores of the base with examples in its prompt: what may make training needless."""
    _write_items(ctx, run)
    _write(ctx, items.ENGINE, {BASE: run.engines[BASE].to_dict()})
    return Result(
        "evaluation",
        parents=tuple(d for d in (run.job.base, run.job.suites_artifact) if d),
        parameters={"engine": run.engines[BASE].to_dict(), "baseline": True},
        summary=summary.few_shot(run.few_shot) | {"shots": len(run.job.shots)},
    )


def _write_items(ctx: JobContext, run: Measurement) -> None:
    lines = (
        items.line(suite, model, item)
        for model, scores in ((BASE, run.base), (TUNED, run.tuned), (FEW_SHOT, run.few_shot))
        for suite, scored in scores.items()
        for item in scored
    )
    with (ctx.output / items.ITEMS).open("w", encoding="utf-8") as stored:
        stored.writelines(items.texts(lines))


def _judged(ctx: JobContext, run: Measurement) -> list[dict[str, Any]]:
    """What the judge says of pairs that experts compared, then of both models' answers. No engine runs meanwhile."""
    suites = [suite for suite in run.job.policy.suites if suite.kind is SuiteKind.JUDGED]
    if not suites:
        return []
    access = ctx.endpoint(run.job.judge["modelEndpoint"])
    judge = Judge(access, run.job.judge["model"], ctx.stopping)
    run.tell("the judge is held against experts")
    lines = [judging.calibration_line(one) for one in judge.calibrate(run.job.calibration)]
    for suite in suites:
        run.tell(f"{suite.name}: the judge compares {len(run.job.items[suite.name])} pairs of answers")
        base, tuned = ([a for a in scores[suite.name] if isinstance(a, Answer)] for scores in (run.base, run.tuned))
        lines += [judging.line(suite.name, one) for one in judge.compare(run.job.items[suite.name], base, tuned)]
    return lines


def _refusals(ctx: JobContext, run: Measurement) -> list[dict[str, Any]]:
    """What the judge says of each answer to the suites that it decides, and the answers that people shall label."""
    gated = refusal_judging.judged_gates(run.job.policy.gates)
    if not gated:
        return []
    model, endpoint = run.job.judge["model"], run.job.judge["modelEndpoint"]
    judge = Judge(ctx.endpoint(endpoint), model, ctx.stopping)
    lines: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for suite in (one for one in run.job.policy.suites if one.name in gated):
        for which, digest, scores in ((BASE, run.job.base, run.base), (TUNED, run.job.model, run.tuned)):
            answers = [one for one in scores[suite.name] if isinstance(one, Answer)]
            run.tell(f"{suite.name}: the judge reads {len(answers)} answers of the {which} model")
            decided_by = {"judge": [endpoint, model], "rubric": refusal_judging.RUBRIC, "suite": suite.digest}
            decided_by["answers"] = canonical_digest([[one.id, one.text] for one in answers])
            journal = run.journal(which, digest, kind="refusal judgements", **decided_by)
            judge.classify(
                run.job.items[suite.name],
                [one for one in answers if one.id not in journal],
                lambda id, said, journal=journal: journal.append(id, said.word if said else ""),  # type: ignore[misc]
            )
            shown = refusal_judging.drawn(suite, gated[suite.name], answers, model=which, seed=run.job.model)
            rows += refusal_judging.rows(run.job.items[suite.name], answers, shown)
            lines += (
                refusal_judging.line(
                    suite.name, which, one.id, Refusal.named(journal.read(one.id)), shown.get(one.id, "")
                )
                for one in answers
            )
    rows.sort(key=lambda row: str(row["id"]))  # by a hash: nothing tells whose answer one is
    (ctx.output / refusal_judging.PEOPLE).write_text(items.write(rows), encoding="utf-8")
    return lines


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


def _write(ctx: JobContext, name: str, value: Any) -> None:
    (ctx.output / name).write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")
