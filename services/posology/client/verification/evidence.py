"""What was observed, and what follows from it: engine, probes, every gate computed anew, outcome."""

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posology.client.stored import Stored
from posology.client.verification.domain import Check, Failed, check
from posology.core.attestations.verdict import overall
from posology.engine import EngineConfig
from posology.engine.config import chat_template_digest

ITEMS, PARITY, ENGINE, PROBES = "items.jsonl", "parity.json", "engine.json", "probes.json"
TEMPLATE_FILES = ("chat_template.jinja", "tokenizer_config.json")


def checks(model: str, predicate: Mapping[str, Any], stored: Stored) -> Iterator[Check]:
    """Engine configuration, gates and outcome."""
    yield check("engine", "configuration", lambda: _engine(predicate, stored))
    yield check("engine", "chat template", lambda: _template(model, predicate, stored))
    yield check("engine", "probes", lambda: _probes(predicate, stored))
    yield check("gates", "computed anew", lambda: _gates(predicate, stored))
    yield check("outcome", "follows from the gates", lambda: _outcome(predicate))
    yield check("outcome", "releases the weights", lambda: _releases(predicate))


def _engine(predicate: Mapping[str, Any], stored: Stored) -> str:
    """The configuration that the verdict is bound to is the one that was observed while scoring."""
    bound = EngineConfig.from_dict(dict(predicate["engine"]))
    observed = stored.json(predicate["evaluation"]["artifact"], ENGINE)
    for which in ("tuned", "base"):
        if differences := bound.differences(EngineConfig.from_dict(observed[which])):
            raise Failed(f"the {which} model was scored with another: {'; '.join(differences)}")
    if not bound.engine_version or not bound.max_model_len:
        raise Failed("it leaves open what an engine must be started with")
    return f"vLLM {bound.engine_version}, {bound.dtype}, {bound.max_model_len} tokens, {bound.digest[:19]}"


def _template(model: str, predicate: Mapping[str, Any], stored: Stored) -> str:
    with tempfile.TemporaryDirectory() as folder:
        for name in TEMPLATE_FILES:
            if stored.has(model, name):
                (Path(folder) / name).write_bytes(stored.read(model, name))
        template = chat_template_digest(Path(folder))
    if template != predicate["engine"]["chat_template"]:
        raise Failed(f"that of the weights is {template or 'missing'}, not {predicate['engine']['chat_template']}")
    return f"that of the weights, {template[:19]}"


def _probes(predicate: Mapping[str, Any], stored: Stored) -> str:
    if stored.json(predicate["evaluation"]["artifact"], PROBES) != predicate["probes"]:
        raise Failed("they are not those of the evaluation")
    return f"{len(predicate['probes'])} prompts with their tokens, those of the evaluation"


def _gates(predicate: Mapping[str, Any], stored: Stored) -> str:
    """The evaluation's own rules over the stored items give what was signed."""
    from posology.evaluation import convert, gates, items  # brings scipy, which only this check needs

    artifact = predicate["evaluation"]["artifact"]
    policy = convert.policy_from_spec({"evaluation": predicate["policy"]}, predicate["suites"])
    confidence = {suite: one["confidence"] for suite, one in predicate.get("tries", {}).items()}
    lines = list(stored.rows(artifact, ITEMS))
    evidence = items.evidence(lines, stored.json(artifact, PARITY), policy)
    again = [convert.gate_to_json(result) for result in gates.decide(policy, evidence, confidence=confidence)]
    signed = predicate["gates"]
    if len(again) != len(signed):
        raise Failed(f"the stored items give {len(again)} results, {len(signed)} were signed")
    for mine, theirs in zip(again, signed, strict=True):
        _same(mine, theirs)
    return f"{len(again)} results from {len(lines)} stored items, all as signed"


def _same(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    name = f"{theirs['suite']} {theirs['metric']}"
    if (mine["suite"], mine["metric"], mine["outcome"]) != (theirs["suite"], theirs["metric"], theirs["outcome"]):
        raise Failed(f"{name} was signed as {theirs['outcome']}; the items say {mine['metric']} {mine['outcome']}")
    for number in ("n", "estimate", "low", "high", "margin"):
        # Bounds come from root finding: another version of scipy may differ in the last digits.
        if abs(float(mine[number]) - float(theirs[number])) > 1e-6:
            raise Failed(f"{name}: {number} was signed as {theirs[number]}; the items give {mine[number]}")


def _outcome(predicate: Mapping[str, Any]) -> str:
    outcomes = [gate["outcome"] for gate in predicate["gates"]]
    follows = overall(outcomes)
    if predicate["outcome"] != follows:
        raise Failed(f"the verdict says {predicate['outcome']}, its gates say {follows}")
    return f"{follows}: {outcomes.count('PASS')} of {len(outcomes)} hold"


def _releases(predicate: Mapping[str, Any]) -> str:
    if predicate["outcome"] != "PASS":
        raise Failed(f"the verdict is genuine and says {predicate['outcome']}; only PASS releases")
    return "PASS"
