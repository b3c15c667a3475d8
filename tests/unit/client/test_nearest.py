"""Label text near a question: rare words decide, and what no pair has is said."""

import hashlib

from posology.client.explain import asked, behind_excerpt, last_question
from posology.client.nearest import Corpus, words
from posology.gateway.requests import canonical
from posology.v1alpha1.gateway_pb2 import Answer

LABELS = (
    "The maximum dose of Quotazol is 300 mg per day.",
    "The maximum dose of Prasifenn is 100 mg per day.",
    "Quotazol must be stored at 2 to 8 degrees C.",
)
QUESTION = "What is the maximum dose of Quotazol?"


def test_the_same_fact_of_the_same_drug_is_nearest() -> None:
    found = Corpus(LABELS).nearest(QUESTION, count=3)
    assert [near.index for near in found] == [0, 1, 2] or [near.index for near in found] == [0, 2, 1]
    assert found[0].score > 1.5 * found[1].score
    assert set(found[0].shared) == {"maximum", "dose", "quotazol"}


def test_equal_texts_have_nearness_one_and_strangers_are_left_out() -> None:
    corpus = Corpus(LABELS)
    assert corpus.nearest(LABELS[1], count=1)[0].score > 0.999
    assert corpus.nearest("hello there", count=3) == []


def test_a_drug_that_no_pair_names_is_said() -> None:
    assert Corpus(LABELS).unseen("Is Zantrexol stored at 2 degrees?") == ["zantrexol"]


def test_numbers_and_units_are_words_and_filling_words_are_not() -> None:
    assert words("What is 0.5 mg of beta-blocker?") == ["0.5", "mg", "beta-blocker"]


def test_nothing_to_compare_with_is_no_error() -> None:
    assert Corpus([]).nearest(QUESTION, count=3) == []
    assert Corpus([""]).nearest("", count=3) == []


def test_the_last_thing_that_a_user_said_is_the_question() -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hello!"},
        {"role": "user", "content": [{"type": "text", "text": QUESTION}]},
    ]
    assert last_question(turns) == QUESTION
    assert last_question(QUESTION) == QUESTION
    assert last_question([]) == ""


def test_behind_an_excerpt_only_the_question_counts() -> None:
    assert behind_excerpt(f"Excerpt: Something about Prasifenn.\nQuestion: {QUESTION}") == QUESTION


def test_a_given_question_is_held_against_the_hash_of_the_record() -> None:
    written = canonical([{"role": "user", "content": QUESTION}])
    record = Answer(prompt_sha256=hashlib.sha256(written.encode()).hexdigest())
    assert "so this was asked" in asked(record, QUESTION)[1]
    assert "does not have it" in asked(record, "What is it?")[1]
    assert "--question" in asked(record, "")[1]
    kept = Answer(prompt='[{"content":"What is it?","role":"user"}]')
    assert asked(kept, "") == ("What is it?", "from the gateway's record")
