"""Decontamination: long questions, short questions, and facts that may be shared."""

import json

import pytest

from posology.curation.domain import Message, Pair, make_pair
from posology.curation.screens.decontaminate import Suites, questions_of
from posology.curation.text.questions import open_book

LONG = "Which of the following laboratory values must be checked before treatment with examplol is started in adults?"
SHORT = "What is the half-life of examplol?"


@pytest.fixture
def suites() -> Suites:
    made = Suites()
    made.add(LONG)
    made.add(SHORT)
    return made


def pair(question: str, answer: str = "The answer is 7 hours.") -> Pair:
    return make_pair((Message("user", question),), answer, question_type="fact")


def reason(suites: Suites, found: Pair) -> str:
    dropped = suites.check(found)
    return dropped.reason if dropped else ""


def test_a_short_question_is_found_whole_whatever_its_case_and_punctuation(suites: Suites) -> None:
    assert reason(suites, pair("what is the HALF-LIFE of Examplol")) == "whole_question"


def test_an_open_book_question_is_found_behind_its_excerpt(suites: Suites) -> None:
    made = make_pair(open_book(["Text."], SHORT), "The answer is 7 hours.", question_type="open-book/half-life")
    assert reason(suites, made) == "whole_question"


def test_thirteen_shared_words_are_enough_and_also_inside_the_answer(suites: Suites) -> None:
    assert reason(suites, pair(f"Tell me: {LONG}")) == "13_gram"
    assert reason(suites, pair("Repeat this.", f"It asks: {LONG}")) == "13_gram"


def test_most_of_the_short_grams_are_enough(suites: Suites) -> None:
    assert reason(suites, pair(LONG.replace("examplol", "otherol"))) == "8_grams"


def test_another_question_on_the_same_fact_is_no_contamination(suites: Suites) -> None:
    assert not reason(suites, pair("How long does examplol stay in the body?"))


@pytest.mark.parametrize(
    "item",
    [
        {"question": SHORT, "choices": ["a"], "context": "The half-life of examplol is 7 hours."},
        {"prompt": SHORT, "unsafe": False},
        {"prompt": [{"role": "user", "content": SHORT}]},
        {"instruction": SHORT},
    ],
)
def test_suite_files_of_every_kind_give_their_questions(item: dict[str, object]) -> None:
    assert list(questions_of([json.dumps(item), ""])) == [SHORT]


@pytest.mark.parametrize(
    "question",
    [
        f"Answer briefly. {SHORT} A) 7 hours B) 9 hours",
        f"Here is an item: {SHORT}",
        "How long is the half-life of examplol, please?",
        "The half-life of examplol is what?",
        "State the half life that examplol has.",
    ],
)
def test_a_short_question_is_found_wherever_it_stands_and_in_another_order(suites: Suites, question: str) -> None:
    assert reason(suites, pair(question)) in {"whole_question", "reworded"}


def test_a_short_question_inside_an_answer_is_found(suites: Suites) -> None:
    assert reason(suites, pair("Repeat an item.", f"It reads: {SHORT} 7 hours.")) == "whole_question"


@pytest.mark.parametrize(
    "question",
    [
        "What is the half-life of otherol?",
        "What is the half-life of the metabolite of examplol in children?",
        "What is the maximum dose of examplol?",
        "By what is examplol metabolized?",
    ],
)
def test_a_neighbour_is_kept(suites: Suites, question: str) -> None:
    assert not reason(suites, pair(question))
