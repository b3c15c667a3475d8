"""A model card for weights that leave the installation: what they are, what was shown of them, and what was not."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from posology.client import Client
from posology.core.errors import NotFound
from posology.v1alpha1.evaluation_pb2 import Verdict
from posology.v1alpha1.orchestrator_pb2 import FineTuneRun

NAME = "README.md"
"""What hubs show; weights that bring a file of this name keep it, and the card is called `OTHER`."""
OTHER = "POSOLOGY.md"


@dataclass(frozen=True)
class Card:
    """What a card says; `run` and `verdict` are None where nobody knows them."""

    digest: str
    kind: str
    run: FineTuneRun | None = None
    verdict: Verdict | None = None
    training: Mapping[str, Any] = field(default_factory=dict)
    """`training.json` of an adapter."""
    against: tuple[str, ...] = ()
    """What was said against these weights since: withdrawals, and FAILs that stand."""

    @property
    def passed(self) -> bool:
        """Whether a verdict said PASS of these weights, or of what they were merged into."""
        return self.verdict is not None and self.verdict.outcome == Verdict.PASS

    @property
    def missing(self) -> tuple[str, ...]:
        """What keeps a PASS from releasing these weights today: the policy of now, and what was said since."""
        return (*(self.verdict.policy_gaps if self.verdict else ()), *self.against)

    @property
    def released(self) -> bool:
        """Whether a signed PASS releases them today."""
        return self.passed and not self.missing


async def of_run(client: Client, run: FineTuneRun, digest: str, *, kind: str = "") -> Card:
    """The card of weights that a run made; a verdict on what an earlier try made is none on these."""
    by_stage = {stage.stage: stage.artifact for stage in run.stages}
    verdict = await client.verdict_of(run)
    if verdict is not None and verdict.model != by_stage.get("merge"):
        verdict = None
    trained = by_stage.get("dpo") or by_stage.get("sft", "")
    stored = client.stored()

    def record() -> dict[str, Any]:
        return dict(stored.json(trained, "training.json")) if stored.has(trained, "training.json") else {}

    return Card(digest, kind, run, verdict, await asyncio.to_thread(record), await against(client, digest, verdict))


async def of_digest(client: Client, digest: str) -> Card:
    """The card of weights of which only the digest is known: under the verdict that releases them, or a PASS."""
    verdicts = await client.verdicts(model=digest)
    passed = [one for one in verdicts if one.outcome == Verdict.PASS]
    verdict = next((one for one in passed if not one.policy_gaps), next(iter(passed or verdicts), None))
    return Card(digest, "", verdict=verdict, against=await against(client, digest, verdict))


async def against(client: Client, digest: str, verdict: Verdict | None) -> tuple[str, ...]:
    """What was said against weights, their verdict and all behind them, in sentences."""
    weights = verdict.model if verdict is not None else digest
    reasons = [f"{failure}" for failure in await client.failures(weights)]
    for start in dict.fromkeys(filter(None, (digest, weights, verdict.artifact if verdict is not None else ""))):
        try:
            behind = await client.trace(start)
        except NotFound:  # not of this namespace's making, or collected
            continue
        reasons += [f"{one.digest} was withdrawn: {one.quarantine_reason}" for one in behind if one.quarantine_reason]
    return tuple(dict.fromkeys(reasons))


def render(card: Card) -> str:
    """The card as Markdown with the front matter that hubs read."""
    base = card.run.spec.base_model.uri if card.run else ""
    front: dict[str, Any] = {"tags": ["posology", "released" if card.released else "not-released"]}
    front["library_name"] = "peft" if card.kind == "adapter" else "transformers"
    if base.startswith("hf://"):
        front["base_model"] = base.removeprefix("hf://")
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=True)}---",
        f"# {_title(card)}",
        _standing(card),
        _origin(card, base),
    ]
    parts += [section for section in (_gates(card), _requirements(card), _dose(card), _recipe(card)) if section]
    parts.append(
        "## What this does not show\n\nThe gates hold for the suites and margins named here and for the engine that "
        "the verdict names. Nothing is shown about other uses; answers can be wrong, and are no medical advice."
    )
    return "\n\n".join(parts) + "\n"


def _title(card: Card) -> str:
    return card.run.name.rsplit("/", 1)[1] if card.run else card.digest[:19]


def _standing(card: Card) -> str:
    what = "the weights that this adapter was merged into" if card.kind == "adapter" else "these weights"
    if card.verdict is None:
        return f"**Not released**: there is no verdict on {what}."
    if card.released:
        policy = f", and the release policy {_cell(card.verdict.policy)} is met" if card.verdict.policy else ""
        return f"**Released**: a signed verdict says PASS of {what}{policy}. That was so when this card was written."
    if card.passed:
        missing = "".join(f"\n- {_cell(one)}" for one in card.missing)
        return f"**Not released**: a signed verdict says PASS of {what}, and it does not release them today:\n{missing}"
    outcome = Verdict.Outcome.Name(card.verdict.outcome).replace("_", " ")
    return f"**Not released**: the verdict on {what} is {outcome}. They must not be served."


def _origin(card: Card, base: str) -> str:
    rows = [("artifact", card.digest), ("kind", card.kind)]
    if card.run:
        rows += [("run", card.run.name), ("base model", base), ("revision", card.run.spec.base_model.revision)]
        for name in ("base-model", "curate", "corrections", "general", "review-data", "sft", "dpo", "merge"):
            rows += [(name, stage.artifact) for stage in card.run.stages if stage.stage == name]
    if card.verdict:
        rows += [("verdict", card.verdict.artifact), ("release policy", card.verdict.policy)]
    return "## Where it comes from\n\n" + _table(("what", "value"), [(k, f"`{_cell(v)}`") for k, v in rows if v])


def _gates(card: Card) -> str:
    if card.verdict is None or not card.verdict.gates:
        return ""
    rows = [
        (
            f"{gate.suite} {gate.metric}",
            Verdict.Outcome.Name(gate.outcome),
            str(gate.n),
            f"{gate.estimate:.3f} ({gate.low:.3f} to {gate.high:.3f})",
            gate.explanation,
        )
        for gate in card.verdict.gates
    ]
    notes = "".join(f"\n- {_cell(line)}" for line in card.verdict.tries)
    table = _table(
        ("gate", "outcome", "n", "estimate (interval)", "in words"), [tuple(map(_cell, row)) for row in rows]
    )
    return "## What was shown\n\n" + table + (f"\n{notes}" if notes else "")


def _requirements(card: Card) -> str:
    """What the release policy asks for, and by what it is met."""
    if card.verdict is None or not card.verdict.policy_findings:
        return ""
    rows = [
        (_cell(one.requirement), "yes" if one.met else "**no**", _cell(one.shown))
        for one in card.verdict.policy_findings
    ]
    title = f"## What the release policy {_cell(card.verdict.policy)} asks for\n\n"
    return title + _table(("requirement", "met", "by"), rows)


def _dose(card: Card) -> str:
    if card.run is None or not card.run.HasField("window"):
        return ""
    return f"## The dose\n\nChosen on development items, which no gate uses. {_cell(card.run.window.sentence)}."


def _recipe(card: Card) -> str:
    recipe = card.training.get("recipe", {})
    if not recipe:
        return ""
    return "## Recipe\n\n```yaml\n" + yaml.safe_dump(dict(recipe), sort_keys=False, allow_unicode=True) + "```"


def _table(head: tuple[str, ...], rows: list[Any]) -> str:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _cell(text: object) -> str:
    """One line that ends no table and begins no markup."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;").replace("`", "'")
