"""Two data sets beside each other at equal n: as many rows of each, drawn by a hash of their content.

Expert-written pairs are few and generated ones many; figures that grow or shrink with n would compare sizes.
"""

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from posology.client.stored import Stored
from posology.core.errors import InvalidInput, Violation

Row = Mapping[str, Any]
_FILES = ("train.jsonl", "validation.jsonl")


@dataclass(frozen=True)
class Figures:
    """What `n` rows of a set of `rows` are like; the review is of the set itself, None where it had none."""

    rows: int
    n: int
    drugs: int
    question_types: int
    conversations: int
    """Rows of more than one turn."""
    with_section: int
    """Rows that name the section that they rest on."""
    question_words: float
    answer_words: float
    """Median words."""
    distinct_bigrams: float
    """Distinct pairs of words in a row among all, 0 to 1 (distinct-2: Li et al., arXiv 1510.03055)."""
    repeated_openings: float
    """Share of rows whose question begins with the same three words as another's, 0 to 1."""
    shared_questions: int
    """Questions that stand in the other set too."""
    reviewed: int | None
    errors: int | None
    upper_bound: float | None


def compare_sets(stored: Stored, first: str, second: str, *, n: int = 0, seed: int = 0) -> tuple[Figures, Figures]:
    """Figures of two data sets at equal n: `n` rows, or as many as the smaller has. InvalidInput if it has fewer."""
    rows = [_clinical(stored, digest) for digest in (first, second)]
    return compare_rows(rows, [_review(stored, digest) for digest in (first, second)], n=n, seed=seed)


def compare_rows(
    rows: Sequence[Sequence[Row]], reviews: Sequence[Mapping[str, Any]], *, n: int = 0, seed: int = 0
) -> tuple[Figures, Figures]:
    """The same of the rows of two sets, with what `review.json` says of each; {} for one that nobody reviewed."""
    least = min(map(len, rows))
    if not least:
        raise InvalidInput("one of the sets has no rows to compare")
    if n > least:
        raise InvalidInput.of([Violation("--n", f"is {n}; the smaller set has {least} rows")])
    drawn = [_drawn(each, n or least, seed) for each in rows]
    asked = [{_question(row) for row in each} for each in drawn]
    shared = len(asked[0] & asked[1])
    made = [
        _figures(each, total=len(whole), shared=shared, review=review)
        for each, whole, review in zip(drawn, rows, reviews, strict=True)
    ]
    return made[0], made[1]


def table(figures: Sequence[Figures]) -> list[tuple[str, ...]]:
    """A line for each figure, in words."""
    words = {
        "rows": "rows in the set", "n": "drawn, equal n", "drugs": "drugs", "question_types": "question types",
        "conversations": "of several turns", "with_section": "with their section",
        "question_words": "words of a question",
        "answer_words": "words of an answer", "distinct_bigrams": "distinct bigrams",
        "repeated_openings": "questions that open alike", "shared_questions": "questions in both",
        "reviewed": "reviewed", "errors": "errors found", "upper_bound": "error rate under",
    }  # fmt: skip
    listed = [asdict(one) for one in figures]
    return [(word, *(_shown(name, one[name]) for one in listed)) for name, word in words.items()]


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "–"
    if name in ("distinct_bigrams", "repeated_openings", "upper_bound"):
        return f"{value:.1%}"
    return f"{value:g}"


def _clinical(stored: Stored, digest: str) -> list[Row]:
    """The rows of a data set that are not general."""
    rows: Iterator[Row] = (row for name in _FILES for row in stored.rows(digest, name))
    return [row for row in rows if "general" not in row.get("tags", ())]


def _drawn(rows: Sequence[Row], n: int, seed: int) -> list[Row]:
    return sorted(rows, key=lambda row: hashlib.sha256(f"{seed}\x1f{row['id']}".encode()).digest())[:n]


def _figures(rows: Sequence[Row], *, total: int, shared: int, review: Mapping[str, Any]) -> Figures:
    answers = [str(row["completion"][-1]["content"]) for row in rows]
    questions = [_question(row) for row in rows]
    bigrams = Counter(pair for answer in answers for pair in _bigrams(answer))
    openings = Counter(" ".join(question.split()[:3]) for question in questions)
    return Figures(
        rows=total,
        n=len(rows),
        drugs=len({row["drug"] for row in rows if row.get("drug")}),
        question_types=len({row.get("question_type", "") for row in rows}),
        conversations=sum(len([turn for turn in row["prompt"] if turn["role"] == "user"]) > 1 for row in rows),
        with_section=sum(bool(row.get("section")) for row in rows),
        question_words=statistics.median(len(question.split()) for question in questions),
        answer_words=statistics.median(len(answer.split()) for answer in answers),
        distinct_bigrams=len(bigrams) / max(1, bigrams.total()),
        repeated_openings=sum(count for count in openings.values() if count > 1) / len(rows),
        shared_questions=shared,
        reviewed=review.get("rated"),
        errors=review.get("errors"),
        upper_bound=review.get("upper_bound"),
    )


def _question(row: Row) -> str:
    asked = [str(turn["content"]) for turn in row["prompt"] if turn["role"] == "user"]
    return " ".join(asked[-1].casefold().split()) if asked else ""


def _bigrams(text: str) -> Iterator[tuple[str, str]]:
    words = text.casefold().split()
    return pairwise(words)


def _review(stored: Stored, digest: str) -> Mapping[str, Any]:
    if not stored.has(digest, "review.json"):
        return {}
    review: Mapping[str, Any] = stored.json(digest, "review.json")
    return review
