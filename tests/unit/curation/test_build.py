"""Exactly N pairs, split by drug, with general data on top, and every drop kept with its reason."""

from collections import Counter
from dataclasses import replace

import pytest

from posology.core.errors import InvalidInput
from posology.curation.dataset.build import Built, build
from posology.curation.dataset.candidates import in_turns
from posology.curation.dataset.card import card
from posology.curation.dataset.preferences import edited_facts, length_matched
from posology.curation.dataset.split import family, split
from posology.curation.domain import GENERAL, REFUSAL, Corpus, Label, Message, Pair, Section, make_pair
from posology.curation.recipe import (
    DuplicateRecipe,
    FilterRecipe,
    GeneralRecipe,
    Recipe,
    Source,
    Style,
    TeacherRecipe,
)
from posology.curation.screens.screening import ExactScreen
from posology.curation.sources.families import family_names, moiety
from posology.curation.teachers.extractive import ExtractiveTeacher

RECIPE = Recipe(
    sources=(Source("file:///labels", "SPL"),),
    teacher=TeacherRecipe("", "", Style.SENTENCES, (), 60, 0.1),
    pairs=80,
    validation=15,
    filters=FilterRecipe(4, True, True, True),
    duplicates=DuplicateRecipe(True, 0, 0),
    seed=0,
)


def corpus(drugs: int = 10) -> Corpus:
    sections = []
    for n in range(drugs):
        name = f"drug{chr(97 + n)}ol"
        texts = {
            "34068-7": f"The recommended dose of {name} is {n + 3} mg. The maximum dose of {name} is {n + 60} mg.",
            "43682-4": f"The half-life of {name} is {n + 2} hours. The bioavailability of {name} is {n + 30}%.",
            "34070-3": f"The drug {name} is contraindicated in patients with a clearance below {n + 9} mL/min.",
            "44425-7": f"Store {name} at {n + 2}°C to {n + 12}°C.",
            "34088-5": f"No antidote to {name} is known. Treatment after {n + 5} grams is supportive.",
        }
        sections += [
            Section(f"s-{name}-{code}", name, f"set{n}", code, "Title", text, f"{name}.xml", name)
            for code, text in texts.items()
        ]
    return Corpus(sections=sections)


def made(recipe: Recipe = RECIPE, *, general: tuple[Pair, ...] = (), given: Corpus | None = None) -> Built:
    teacher = ExtractiveTeacher(seed=recipe.seed)
    return build(recipe, given or corpus(), teacher, [ExactScreen()], general, progress=lambda *_: None)


def test_exactly_as_many_pairs_as_wanted_are_accepted_and_the_rest_is_kept_as_surplus() -> None:
    built = made()
    assert len(built.train) + len(built.validation) == 80
    assert built.considered == 80 + len([drop for drop in built.drops if drop.stage != "source"])
    assert len({pair.id for pair in [*built.train, *built.validation]}) == 80


def test_the_first_pairs_cover_all_drugs() -> None:
    built = made(replace(RECIPE, pairs=30, validation=0))
    assert len({pair.drug for pair in built.train}) == 10


def test_no_family_is_on_both_sides() -> None:
    built = made()
    assert built.validation
    assert not {family(p) for p in built.train} & {family(p) for p in built.validation}


def test_too_few_pairs_are_an_error_that_counts_the_reasons() -> None:
    with pytest.raises(InvalidInput, match=r"gave \d+ of the 100000 pairs .* considered, dropped were"):
        made(replace(RECIPE, pairs=100_000))


def test_general_pairs_come_on_top_in_their_share_and_keep_their_refusals() -> None:
    general = tuple(
        make_pair(
            (Message("user", f"Question {n}?"),),
            "I cannot help with that." if n % 3 == 0 else f"Answer number {n} is here.",
            question_type="given",
            source="general.jsonl",
            tags=(GENERAL, REFUSAL) if n % 3 == 0 else (GENERAL,),
        )
        for n in range(90)
    )
    built = made(replace(RECIPE, general=GeneralRecipe("file:///g", 0.2)), general=general)
    added = [pair for pair in built.train if GENERAL in pair.tags]
    clinical = len(built.train) - len(added)
    assert len(added) == round(clinical * 0.2 / 0.8)
    assert len(added) / len(built.train) == pytest.approx(0.2, abs=0.01)
    assert sum(REFUSAL in pair.tags for pair in added) == round(len(added) / 3)
    assert not any(GENERAL in pair.tags for pair in built.validation)


def test_a_general_file_with_too_few_pairs_gives_what_it_has_and_the_card_can_say_so() -> None:
    one = make_pair((Message("user", "Hello there?"),), "Good morning.", question_type="given", tags=(GENERAL,))
    built = made(replace(RECIPE, general=GeneralRecipe("file:///g", 0.5)), general=(one,))
    assert sum(GENERAL in pair.tags for pair in built.train) == 1
    assert built.general_wanted > 1


def test_validation_is_as_near_to_the_wanted_number_as_whole_families_come() -> None:
    pairs = [
        make_pair((Message("user", f"{drug} {n}?"),), "A.", question_type="fact", drug=drug)
        for drug, count in {"a": 7, "b": 5, "c": 11, "d": 3, "e": 20}.items()
        for n in range(count)
    ]
    for wanted in (3, 8, 12, 23):
        assert len(split(pairs, validation=wanted, seed=0).validation) == wanted
    assert len(split(pairs, validation=1, seed=0).validation) == 3


def written(count: int, source: str = "expert.jsonl") -> list[Pair]:
    """Pairs as experts write them: a question, an answer, nothing else."""
    questions = [f"How should drug number {n} be taken?" for n in range(count)]
    return [
        make_pair((Message("user", q),), f"Take {n + 5} mg of it with food.", question_type="given", source=source)
        for n, q in enumerate(questions)
    ]


def test_pairs_that_experts_wrote_make_a_data_set_without_labels_or_a_teacher() -> None:
    recipe = replace(RECIPE, pairs=250, validation=25, sources=(Source("file:///expert.jsonl", "JSONL"),))
    given = Corpus(pairs=written(300))
    built = made(recipe, given=given)
    assert (len(built.train), len(built.validation)) == (225, 25)
    shown = card(recipe, given, built, teacher="extractive/1", suite_questions=0)
    assert shown["split_by"] == "question"


def test_answers_to_one_question_stay_on_one_side_where_no_drug_is_named() -> None:
    pairs = [pair for pair in written(20) for pair in (pair, replace(pair, id=f"{pair.id}-again", answer="Otherwise."))]
    parts = split(pairs, validation=6, seed=0)
    assert len(parts.validation) == 6
    assert not {pair.question for pair in parts.train} & {pair.question for pair in parts.validation}


def test_files_without_drugs_are_split_by_file() -> None:
    pairs = [*written(10, "a.jsonl"), *written(5, "b.jsonl")]
    assert {pair.source for pair in split(pairs, validation=5, seed=0).validation} == {"b.jsonl"}


def test_holding_out_pairs_of_the_only_drug_is_an_error() -> None:
    pairs = [make_pair((Message("user", f"{n}?"),), "A.", question_type="fact", drug="a") for n in range(5)]
    with pytest.raises(InvalidInput, match="one drug only"):
        split(pairs, validation=2, seed=0)


def test_an_original_and_its_repackaging_are_one_family() -> None:
    labels = [
        Label("set1", 1, "atorvastatin calcium", ("atorvastatin calcium",), "a.xml"),
        Label("set2", 1, "atorvastatin calcium trihydrate", ("atorvastatin calcium trihydrate",), "b.xml"),
        Label("set2", 2, "brand name", (), "c.xml"),
        Label("set3", 1, "oxycodone and acetaminophen", ("oxycodone", "acetaminophen"), "d.xml"),
        Label("set4", 1, "acetaminophen", ("acetaminophen",), "e.xml"),
    ]
    found = family_names(labels)
    assert len({found["set1", "atorvastatin calcium"], found["set2", "brand name"]}) == 1
    assert found["set2", "atorvastatin calcium trihydrate"] == found["set1", "atorvastatin calcium"]
    assert found["set3", "oxycodone and acetaminophen"] != found["set4", "acetaminophen"]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("ATORVASTATIN CALCIUM TRIHYDRATE", "atorvastatin"),
        ("Sodium Chloride", "sodium chloride"),
        ("tenofovir alafenamide fumarate", "tenofovir"),
        ("Lithium carbonate", "lithium carbonate"),
    ],
)
def test_salts_do_not_make_another_ingredient(name: str, plain: str) -> None:
    assert moiety(name) == plain


def test_families_take_turns_whatever_order_they_came_in() -> None:
    sections = corpus(4).sections
    order = in_turns(sections, seed=5)
    assert order == in_turns(list(reversed(sections)), seed=5)
    assert len({section.family for section in order[:4]}) == 4


def test_preferences_edit_kinds_of_facts_in_turns_and_are_exact_in_number() -> None:
    given = corpus()
    built = made(given=given)
    sections = {section.id: section for section in given.sections}
    found = edited_facts(built.train, sections, wanted=40, seed=0)
    assert len(found) == len({preference.id for preference in found}) == 40
    assert len({p.pair.id for p in found[:30]}) == 30
    kinds = Counter(preference.kind for preference in found)
    assert len(kinds) >= 2
    assert all(length_matched(p.pair.answer, p.rejected) and p.rejected != p.pair.answer for p in found)
    with pytest.raises(InvalidInput, match="of the 100000 preference pairs"):
        edited_facts(built.train, sections, wanted=100_000, seed=0)
