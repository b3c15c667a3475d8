"""The screens that a recipe asks for; those that embed load their model only when they are."""

import os
from collections.abc import Sequence

from posology.curation.domain import Section
from posology.curation.recipe import DuplicateRecipe
from posology.curation.screens.decontaminate import Suites
from posology.curation.screens.screening import ExactScreen, Screen, SuiteScreen
from posology.curation.screens.semantic import SemanticScreen, SuiteSemanticScreen
from posology.curation.screens.suite_files import suite_questions
from posology.curation.sources.location import Limits
from posology.curation.text.quantities import COMMON_DRUGS


def suites_of(uris: Sequence[str], limits: Limits) -> Suites:
    """The questions of suite files, against which rows are decontaminated."""
    suites = Suites()
    for uri in uris:
        for question in suite_questions(uri, limits):
            suites.add(question)
    return suites


def screens_of(thresholds: DuplicateRecipe, suites: Suites, sections: Sequence[Section]) -> list[Screen]:
    """Cheap ones first; the drugs of the sections are names that tell rows apart."""
    drugs = COMMON_DRUGS | {word for s in sections for word in s.drug.split() if len(word) > 3}
    screens: list[Screen] = [ExactScreen()] if thresholds.exact else []
    screens += [SuiteScreen(suites)] if suites.questions else []
    if thresholds.minhash:
        from posology.curation.worker.minhash import MinHashScreen

        screens.append(MinHashScreen(thresholds.minhash, drugs=drugs))
    if thresholds.semantic:
        labels = {s.id: s.set_id or s.source for s in sections}
        screens.extend(_semantic(thresholds.semantic, drugs, suites.questions, labels))
    return screens


def _semantic(
    threshold: float, drugs: frozenset[str], questions: Sequence[str], labels: dict[str, str]
) -> list[Screen]:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from posology.curation.worker.embedding import Embedder

    embed = Embedder()
    against: list[Screen] = [SuiteSemanticScreen(threshold, embed, questions, drugs)] if questions else []
    return [*against, SemanticScreen(threshold, embed, drugs, labels)]
