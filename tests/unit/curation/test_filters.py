"""Each filter: what it drops, what it keeps, and the reason that is stored."""

import pytest

from posology.curation.domain import GENERAL, REFUSAL, Message, Pair, make_pair
from posology.curation.recipe import FilterRecipe
from posology.curation.screens.filters import FILTERS, Context, sift, steps
from posology.curation.text.questions import open_book

SECTION = "The recommended dose of examplol is 10 mg once daily. Avoid use in patients with severe renal impairment."


def pair(
    answer: str, *, kind: str = "explain", question: str = "How is examplol dosed?", tags: tuple[str, ...] = ()
) -> Pair:
    return make_pair((Message("user", question),), answer, question_type=kind, drug="examplol", tags=tags)


def verdict(name: str, found: Pair, *, text: str = "", **options: int) -> str:
    decided = FILTERS[name](found, Context(text), **options)
    return "" if decided.kept else decided.detail


def test_the_minimum_of_words_is_for_answers_that_explain() -> None:
    assert verdict("min_words", pair("Ten words are not enough."), least=80) == "5 words, at least 80 wanted"
    assert not verdict("min_words", pair("The dose is 10 mg.", kind="half-life"), least=80)
    assert not verdict("min_words", pair("10 mg.", kind="open-book/half-life"), least=80)
    assert not verdict("min_words", pair("I cannot help with that.", tags=(REFUSAL,)), least=80)


@pytest.mark.parametrize(
    "answer",
    ["I'm sorry, but I can't help.", "As an AI, I do not give doses.", "I cannot answer this.", "I’m unable to say."],
)
def test_refusals_are_dropped_unless_they_are_wanted(answer: str) -> None:
    assert "refuses" in verdict("refusals", pair(answer))
    assert not verdict("refusals", pair(answer, tags=(REFUSAL,)))


@pytest.mark.parametrize(
    "answer",
    ["Patients who cannot swallow should get the solution.", "It is not known whether it passes into milk. I cannot"],
)
def test_clinical_answers_that_sound_like_refusals_are_kept(answer: str) -> None:
    assert not verdict("refusals", pair(answer))


def test_answers_that_only_send_the_reader_away_are_vague() -> None:
    assert "consult your doctor" in verdict("vague", pair("It varies. Please consult your doctor."))
    assert not verdict("vague", pair("Take 10 mg once daily; please consult your doctor."))
    own_words = "Ask your doctor."
    assert not verdict("vague", pair(own_words), text=f"Directions. {own_words}")


def test_pairs_without_anything_clinical_are_dropped_but_general_ones_are_exempt() -> None:
    chat = pair("The capital of France is Paris.", question="What is the capital of France?")
    assert "clinical term" in verdict("clinical_terms", chat)
    assert not verdict("clinical_terms", chat.tagged(GENERAL))
    assert not verdict("clinical_terms", pair("Once a day with food.", question="How is examplol taken?"))


def test_answers_must_be_grounded_in_their_section() -> None:
    assert not verdict("grounding", pair("The recommended dose of examplol is 10 mg once daily."), text=SECTION)
    assert "40mg" in verdict("grounding", pair("The recommended dose of examplol is 40 mg once daily."), text=SECTION)
    foreign = pair("Bananas grow quickly in warm humid places near rivers.")
    assert "words are in the section" in verdict("grounding", foreign, text=SECTION)


def test_invented_evidence_is_found() -> None:
    made = make_pair(
        (Message("user", "Q?"),), "Avoid use.", question_type="fact", evidence="It cures everything at once."
    )
    assert "evidence" in verdict("grounding", made, text=SECTION)


def test_open_book_questions_are_judged_without_their_excerpt() -> None:
    prompt = open_book(["It contains 77 mg."], "What is the dose?")
    made = make_pair(prompt, "The answer is 77 mg.", question_type="open-book/strength")
    assert "77mg" in verdict("grounding", made, text=SECTION)


@pytest.mark.parametrize(
    ("answer", "detail"),
    [("", "empty"), ("How is examplol dosed?", "repeats"), ("10 \ufffdg", "U\\+FFFD"), ("Take {drug}.", "placeholder")],
)
def test_malformed_pairs_are_dropped(answer: str, detail: str) -> None:
    dropped = sift(pair(answer), Context(), steps(FilterRecipe(0, True, True, True)))
    assert dropped is not None
    assert dropped.reason == "form"
    assert detail.replace("\\", "") in dropped.detail


def test_switched_off_filters_do_not_run() -> None:
    named = {step.name for step in steps(FilterRecipe(3, False, False, False))}
    assert named == {"form", "min_words", "grounding"}


@pytest.mark.parametrize(
    "answer",
    [
        "Use examplol in patients with severe renal impairment.",
        "The recommended dose of examplol is 10 mg twice daily.",
        "Avoid use in patients with severe hepatic impairment.",
    ],
)
def test_a_slot_that_the_section_states_otherwise_is_found(answer: str) -> None:
    assert verdict("grounding", pair(answer), text=SECTION)
