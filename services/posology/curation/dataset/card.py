"""The data card: what the data set holds, what was dropped and why, and what would make it again."""

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import Any

from posology.curation.dataset.build import Built, is_filler
from posology.curation.dataset.coverage import coverage
from posology.curation.dataset.split import splits_by_question
from posology.curation.domain import CONTRADICTION, GENERAL, REFUSAL, Corpus, Drop, Pair
from posology.curation.recipe import GeneralSetRecipe, PreferenceRecipe, Recipe


def card(recipe: Recipe, corpus: Corpus, built: Built, *, teacher: str, suite_questions: int) -> dict[str, Any]:
    """JSON for `card.json`. It holds no times, machines or paths, because it belongs to the data set's identity."""
    clinical = [pair for pair in built.train if GENERAL not in pair.tags]
    return {
        "pairs": {
            "considered": built.considered,
            "accepted": len(clinical) + len(built.validation),
            "train": len(built.train),
            "validation": len(built.validation),
            "general": len(built.train) - len(clinical),
            "general_wanted": built.general_wanted,
            "refusals": _tagged(built.train, REFUSAL),
            "possible_contradictions": _tagged([*built.train, *built.validation], CONTRADICTION),
        },
        **({"split_by": "question"} if built.validation and splits_by_question([*clinical, *built.validation]) else {}),
        "drops": drops_by_reason(built.drops),
        "question_types": _counts(pair.question_type for pair in [*clinical, *built.validation]),
        "drugs": {
            "train": sorted({pair.drug for pair in clinical if pair.drug}),
            "validation": sorted({pair.drug for pair in built.validation if pair.drug}),
        },
        "coverage": coverage(corpus.sections, [*clinical, *built.validation]),
        "fillers": sum(is_filler(pair) for pair in [*clinical, *built.validation]),
        "sections": {"read": len(corpus.sections), "codes": _counts(section.code for section in corpus.sections)},
        "source_files": dict(sorted(corpus.files.items())),
        "decontaminated_against": {"questions": suite_questions},
        "recipe": parameters(recipe, teacher=teacher),
        "versions": {"posology": version("posology")},
    }


def parameters(recipe: Recipe, *, teacher: str) -> dict[str, Any]:
    """What belongs to the artifact's identity besides its files: the recipe without the places that it read from."""
    return {
        "pairs": recipe.pairs,
        "validation": recipe.validation,
        "seed": recipe.seed,
        "teacher": teacher,
        "style": recipe.teacher.style.value,
        "question_types": list(recipe.teacher.question_types),
        "formats": sorted({source.format for source in recipe.sources}),
        "filters": vars(recipe.filters) | {},
        "deduplicate": vars(recipe.duplicates) | {},
        "general_share": recipe.general.share if recipe.general else 0,
    }


def correction_parameters() -> dict[str, Any]:
    """The same of a corrected version: what was corrected stands in its files, what it was made from in its parent."""
    return {"version": "corrected"}


def general_parameters(recipe: GeneralSetRecipe) -> dict[str, Any]:
    """The same of a general set."""
    return {"deduplicate": vars(recipe.duplicates) | {}}


def preference_parameters(recipe: PreferenceRecipe) -> dict[str, Any]:
    """The same of a preference set."""
    if recipe.uri:
        return {"pairs": recipe.pairs, "uri": recipe.uri, "seed": recipe.seed, "suites": list(recipe.suites)}
    return {"pairs": recipe.pairs, "weak_answers": recipe.weak.value, "seed": recipe.seed}


def drops_by_reason(drops: Iterable[Drop]) -> dict[str, dict[str, int]]:
    """Counts of drops, by stage and reason."""
    counts: dict[str, Counter[str]] = {}
    for drop in drops:
        counts.setdefault(drop.stage, Counter())[drop.reason] += 1
    return {stage: dict(sorted(reasons.items())) for stage, reasons in sorted(counts.items())}


def _tagged(pairs: Sequence[Pair], tag: str) -> int:
    return sum(tag in pair.tags for pair in pairs)


def _counts(values: Any) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
