"""The crafted sets of the benchmark, as far as no model is needed: what must be told apart, found and kept."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from posology.curation.domain import Message, Pair, make_pair
from posology.curation.recipe import FilterRecipe
from posology.curation.screens.decontaminate import Suites
from posology.curation.screens.filters import Context, sift, steps
from posology.curation.text.quantities import COMMON_DRUGS, fingerprint

DRUGS = COMMON_DRUGS | {"tessavir"}


def _loaded() -> ModuleType:
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "screen_sets.py"
    spec = importlib.util.spec_from_file_location("screen_sets", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["screen_sets"] = module
    spec.loader.exec_module(module)
    return module


SETS = _loaded()


def alike(one: str, other: str) -> bool:
    return fingerprint(one, drugs=DRUGS) == fingerprint(other, drugs=DRUGS)


def asks(question: str) -> Pair:
    return make_pair((Message("user", question),), "Tessavir 7.", question_type="fact", drug="tessavir")


def suites() -> Suites:
    made = Suites()
    for question, _ in SETS.REWORDINGS:
        made.add(question)
    return made


def test_facts_that_differ_have_fingerprints_that_differ() -> None:
    same = [one for one, other in SETS.CONTRASTS if alike(one, other)]
    assert same == ["Give 5 mg in the morning and 10 mg at night."]  # times of day are no slot yet
    assert [one for one, other in SETS.ALTERED if alike(one, other)] == []


def test_a_paraphrase_has_the_fingerprint_of_what_it_says_again() -> None:
    different = [one for _, one, _, other in SETS.PARAPHRASES if not alike(one, other)]
    assert len(different) <= 1


def test_reworded_questions_are_found_and_neighbours_are_kept() -> None:
    checked = suites()
    assert sum(checked.check(asks(other)) is not None for _, other in SETS.REWORDINGS) >= 18
    assert sum(checked.check(asks(question)) is not None for question in SETS.NEIGHBOURS) <= 1


def test_refusals_are_told_from_clinical_sentences_that_sound_like_them() -> None:
    only = steps(FilterRecipe(0, drop_refusals=True, drop_vague=False, require_clinical_terms=False))

    def dropped(answer: str) -> bool:
        pair = make_pair((Message("user", "What of Tessavir?"),), answer, question_type="fact", drug="tessavir")
        return sift(pair, Context(answer), only) is not None

    assert sum(dropped(answer) for answer in SETS.REFUSALS) == 10
    assert sum(dropped(answer) for answer in SETS.NO_REFUSALS) == 0
