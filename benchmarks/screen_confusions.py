"""What the screens tell apart and what they find, on crafted sets: the audit's figures before, and now.

python benchmarks/screen_confusions.py          # needs the worker environment (MiniLM)
"""

import sys
from collections.abc import Iterator

from screen_sets import ALTERED, CONTRASTS, NEIGHBOURS, NO_REFUSALS, PARAPHRASES, REFUSALS, REWORDINGS

from posology.curation.domain import CONTRADICTION, Message, Pair, Section, make_pair
from posology.curation.recipe import FilterRecipe
from posology.curation.screens.decontaminate import Suites
from posology.curation.screens.filters import Context, sift, steps
from posology.curation.screens.screening import ExactScreen, Screen, SuiteScreen, through
from posology.curation.screens.semantic import SemanticScreen, SuiteSemanticScreen
from posology.curation.text.quantities import COMMON_DRUGS, fingerprint
from posology.curation.worker.embedding import Embedder
from posology.curation.worker.minhash import MinHashScreen

DRUGS = COMMON_DRUGS | {"tessavir"}
BEFORE = {  # of the audit's own sets, by the code of that time
    "contrasts told apart": "14 of 31",
    "altered facts kept (another question)": "22 of 30",
    "altered facts kept (same question)": "0 of 30",
    "of those, tagged as contradiction": "0 of 30",
    "paraphrases found": "16 of 30",
    "reworded suite questions found": "10 of 20",
    "neighbours kept": "–",
    "refusals dropped": "10 of 20",
    "answers that sound like refusals kept": "15 of 20",
}


def pair(question: str, answer: str, label: int) -> Pair:
    section = Section(f"s{label}", "tessavir", f"set{label}", "34068-7", "T", answer, f"{label}.xml", "tessavir")
    prompt = (Message("user", question),)
    return make_pair(prompt, answer, question_type="fact", section=section, evidence=answer)


def screens(embed: Embedder) -> list[Screen]:
    labels = {f"s{number}": f"set{number}" for number in range(2)}
    return [ExactScreen(), MinHashScreen(0.8, drugs=DRUGS), SemanticScreen(0.92, embed, DRUGS, labels)]


def misses(embed: Embedder) -> Iterator[tuple[str, int, list[str]]]:
    """(what was tried, how many, those that failed)."""
    same = [f"{one} | {other}" for one, other in CONTRASTS if _alike(one, other)]
    yield "contrasts told apart", len(CONTRASTS), same
    for name, asks in (
        (
            "altered facts kept (another question)",
            ("What does the label of Tessavir say?", "What is known of Tessavir?"),
        ),
        ("altered facts kept (same question)", ("What does the label of Tessavir say?",) * 2),
    ):
        removed, untagged = [], []
        for one, other in ALTERED:
            screened = through(screens(embed), [pair(asks[0], one, 0)])
            assert len(screened.kept) == 1
            kept = _after(embed, pair(asks[0], one, 0), pair(asks[1], other, 1))
            if kept is None:
                removed.append(other)
            elif CONTRADICTION not in kept.tags:
                untagged.append(other)
        yield name, len(ALTERED), removed
    yield "of those, tagged as contradiction", len(ALTERED), untagged
    left = [
        f"{one} | {other}"
        for ask, one, asks, other in PARAPHRASES
        if _after(embed, pair(ask, one, 0), pair(asks, other, 1)) is not None
    ]
    yield "paraphrases found", len(PARAPHRASES), left
    suites = Suites()
    for question, _ in REWORDINGS:
        suites.add(question)
    against: list[Screen] = [SuiteScreen(suites), SuiteSemanticScreen(0.92, embed, suites.questions, DRUGS)]
    asked = [pair(other, "Tessavir 7.", 0) for _, other in REWORDINGS]
    yield "reworded suite questions found", len(REWORDINGS), [p.question for p in through(against, asked).kept]
    near = [pair(question, "Tessavir 7.", 0) for question in NEIGHBOURS]
    yield "neighbours kept", len(NEIGHBOURS), [d.pair.question for d in through(against, near).drops if d.pair]
    only = steps(FilterRecipe(0, drop_refusals=True, drop_vague=False, require_clinical_terms=False))
    for name, answers, drop in (
        ("refusals dropped", REFUSALS, True),
        ("answers that sound like refusals kept", NO_REFUSALS, False),
    ):
        wrong = [a for a in answers if (sift(pair("What of Tessavir?", a, 0), Context(a), only) is not None) != drop]
        yield name, len(answers), wrong


def _alike(one: str, other: str) -> bool:
    return fingerprint(one, drugs=DRUGS) == fingerprint(other, drugs=DRUGS)


def _after(embed: Embedder, first: Pair, second: Pair) -> Pair | None:
    """The second pair as the screens leave it after the first; None when it is dropped."""
    kept = through(screens(embed), [first, second]).kept
    return kept[1] if len(kept) == 2 else None


def main() -> None:
    """Print the table, then every miss."""
    measured = list(misses(Embedder()))
    sys.stdout.write(f"{'':<42}{'audit':>10}{'now':>10}\n")
    for name, count, wrong in measured:
        sys.stdout.write(f"{name:<42}{BEFORE[name]:>10}{f'{count - len(wrong)} of {count}':>10}\n")
    for name, _, wrong in measured:
        for one in wrong:
            sys.stdout.write(f"  not {name}: {one}\n")


if __name__ == "__main__":
    main()
