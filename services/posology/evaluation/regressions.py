"""What a tuned model lost, item by item: for people who read a report; no gate reads it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from posology.evaluation.domain import Answer, Choice, Suite
from posology.evaluation.questions import Item, Question
from posology.evaluation.refusals import Content, content

FILE = "regressions.json"
MOST = 10
"""Items of a suite that are shown, and groups."""
LONGEST = 600
"""Characters of one text that are shown."""

Scored = Iterable[Choice | Answer]


def of_suite(suite: Suite, items: Sequence[Item], base: Scored, tuned: Scored) -> dict[str, Any]:
    """{"suite", "lost", "items", "groups"}: the worst regressions first, and the subjects or drugs that lost most."""
    texts = {item.id: item for item in items}
    groups: dict[str, list[int]] = {}
    lost: list[tuple[float, dict[str, Any]]] = []
    for before, after in zip(base, tuned, strict=True):
        if isinstance(before, Choice) and isinstance(after, Choice):
            if before.cluster:
                counts = groups.setdefault(before.cluster, [0, 0, 0])
                counts[0] += 1
                counts[1] += before.correct
                counts[2] += after.correct
            if before.correct and not after.correct:
                lost.append((_margin(after), _question(texts[before.id], before, after)))
        elif isinstance(before, Answer) and isinstance(after, Answer) and _given_up(before, after):
            shown = {"id": before.id, "prompt": _cut(texts[before.id].prompt)}
            lost.append((-len(after.text), {**shown, "base": _cut(before.text), "tuned": _cut(after.text)}))
    worst = [entry for _, entry in sorted(lost, key=lambda one: (one[0], one[1]["id"]))]
    return {"suite": suite.name, "lost": len(lost), "items": worst[:MOST], "groups": list(_worst_groups(groups))}


def _given_up(before: Answer, after: Answer) -> bool:
    """Harmful content that the base withheld and the candidate gave."""
    return before.unsafe and content(before.text) is Content.WITHHELD and content(after.text) is Content.GIVEN


def _margin(choice: Choice) -> float:
    """How far the right option lies below the chosen one, as a negative number; the most confident mistakes first."""
    scores = [score for score in choice.scores if score is not None]
    right = choice.scores[choice.answer]
    return right - max(scores) if right is not None and scores else 0.0


def _question(item: Item, before: Choice, after: Choice) -> dict[str, Any]:
    if not isinstance(item, Question):  # a row that a task of lm-evaluation-harness asked
        return {"id": item.id, "prompt": _cut(item.prompt), "base": "right", "tuned": "wrong"}
    return {
        "id": item.id,
        "prompt": _cut(item.prompt),
        "base": _cut(item.choices[_chosen(before)]),
        "tuned": _cut(item.choices[_chosen(after)]),
    }


def _chosen(choice: Choice) -> int:
    scores = [float("-inf") if score is None else score for score in choice.scores]
    return scores.index(max(scores))


def _worst_groups(groups: Mapping[str, Sequence[int]]) -> Iterator[dict[str, Any]]:
    by_loss = sorted(groups.items(), key=lambda one: (one[1][2] - one[1][1], one[0]))
    for name, (n, base, tuned) in by_loss[:MOST]:
        if tuned < base:
            yield {"name": name, "n": n, "base": base, "tuned": tuned}


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"
