"""What CONTRIBUTING.md promises: a filter, a gate and a source format each are one module that makes itself known."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from posology.curation.domain import Message, make_pair
from posology.curation.recipe import FilterRecipe
from posology.curation.screens import filters
from posology.curation.sources import FORMATS, Document
from posology.evaluation import gates
from posology.evaluation.domain import BASE, TUNED, Choice, Evidence, Gate, Outcome, ParityStep, Policy, Suite
from posology.evaluation.gates import registry

FILTER = '''
from posology.curation.domain import Pair
from posology.curation.screens.filters import Context, FilterResult, drop, keep, register


@register("no_shouting", when=lambda recipe: {} if recipe.drop_vague else None)
def no_shouting(pair: Pair, context: Context) -> FilterResult:
    """Drop answers in capitals."""
    return drop("the answer shouts") if pair.answer.isupper() else keep
'''
GATE = '''
from posology.evaluation.domain import GateResult, Outcome, SuiteKind
from posology.evaluation.gates.registry import gate


@gate("lead", demands=("win_rate_above",), kinds=(SuiteKind.MULTIPLE_CHOICE,), metrics=("lead",))
def lead(ask):
    """PASS iff more questions are right after than before."""
    right = {model: sum(one.correct for one in many) for model, many in ask.evidence.choices[ask.gate.suite].items()}
    outcome = Outcome.PASS if right["tuned"] > right["base"] else Outcome.FAIL
    yield GateResult(ask.gate.suite, "lead", outcome, "counted", n=len(ask.evidence.choices[ask.gate.suite]["base"]))
'''
SOURCE = '''
from posology.curation.domain import Label
from posology.curation.sources import Parsed, source


@source("SHOUT", ".shout")
def read_shout(document):
    """One label a file: its only section is the text."""
    label = Label(set_id="s", version=1, drug="examplol", ingredients=("examplol",), source=document.name)
    yield Parsed(label=label)
'''
RECIPE = FilterRecipe(min_words=0, drop_refusals=False, drop_vague=True, require_clinical_terms=False)


def load(folder: Path, name: str, text: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_new_filter_is_listed_switched_on_by_its_recipe_and_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "FILTERS", dict(filters.FILTERS))
    monkeypatch.setattr(filters, "_REGISTERED", dict(filters._REGISTERED))
    load(tmp_path, "no_shouting", FILTER)
    chosen = filters.steps(RECIPE)
    assert "no_shouting" in [step.name for step in chosen]
    pair = make_pair((Message("user", "May I?"),), "NEVER", question_type="x", drug="examplol")
    dropped = filters.sift(pair, filters.Context(), [step for step in chosen if step.name == "no_shouting"])
    assert dropped is not None
    assert (dropped.reason, dropped.detail) == ("no_shouting", "the answer shouts")


def test_a_new_gate_is_listed_validated_and_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    policy = Policy((Suite("mcq", "sha256:" + "1" * 64),), (Gate("mcq", metric="lead", win_rate_above=0.5),))
    assert gates.violations(policy)
    load(tmp_path, "lead", GATE)
    assert "lead" in gates.built()
    assert not gates.violations(policy)
    scored = {model: [Choice("q", "", 0, scores)] for model, scores in ((BASE, (-2.0, -1.0)), (TUNED, (-1.0, -2.0)))}
    parity = (ParityStep("merged = served", tokens=400, agreement=1.0, mean_kl=0.0, max_difference=0.0),)
    results = gates.decide(policy, Evidence(choices={"mcq": scored}, parity=parity))
    [result] = [each for each in results if each.metric == "lead"]
    assert result.outcome is Outcome.PASS


def test_a_new_source_format_is_listed_and_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import posology.curation.sources as sources

    monkeypatch.setattr(sources, "FORMATS", dict(FORMATS))
    load(tmp_path, "shout", SOURCE)
    assert sources.FORMATS["SHOUT"].endings == (".shout",)
    [parsed] = sources.FORMATS["SHOUT"].read(Document("a.shout", b"HELLO"))
    assert parsed.label is not None
    assert parsed.label.drug == "examplol"
