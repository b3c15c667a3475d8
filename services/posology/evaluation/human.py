"""Answers for people: the file that a review draws from, and what a signed review says of it."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from posology.core import signing
from posology.core.artifacts import ArtifactStore
from posology.core.attestations.review import PREDICATE_TYPE, ReviewPredicate
from posology.core.errors import NotFound, PosologyError
from posology.core.redaction import redacted
from posology.core.release.carried import payload
from posology.evaluation.domain import Answer, Choice, HumanRatings, Suite, SuiteKind
from posology.evaluation.questions import Item
from posology.evaluation.refusals import without_thoughts

FILE = "human.jsonl"
"""In an evaluation's artifact; in the form of a data set's rows, as reviews read them."""
SAMPLE, RATERS = 50, 2
"""Questions and people, where a gate does not say."""


def rows(
    suite: Suite, prompts: Sequence[Item], tuned: Mapping[str, Iterable[Choice | Answer]]
) -> Iterator[dict[str, Any]]:
    """The candidate's answers to a suite for people; nothing of any other suite. Nobody rates thoughts.

    Such suites hold what was really asked, so what names a person is taken out before anybody reads it.
    """
    if suite.kind is not SuiteKind.HUMAN:
        return
    asked = {item.id: item.prompt for item in prompts}
    for answer in tuned[suite.name]:
        assert isinstance(answer, Answer)
        yield {
            "id": answer.id,
            "section": "",
            "drug": answer.cluster,
            "tags": [],
            "prompt": [{"role": "user", "content": redacted(asked[answer.id])}],
            "completion": [{"role": "assistant", "content": redacted(without_thoughts(answer.text))}],
        }


def ratings(
    artifacts: ArtifactStore, evaluation: str, model: str, statements: Sequence[str], keys: Sequence[signing.PublicKey]
) -> tuple[HumanRatings | None, str]:
    """What the last review of these very answers says, and why one that was handed in does not count. Blocking.

    A review of another evaluation counts where the weights are the same and the answers are, to the byte.
    """
    problem, found = "", None
    for text in statements:
        envelope = json.loads(text)
        if payload(envelope).get("predicateType") != PREDICATE_TYPE:
            continue
        predicate = payload(envelope)["predicate"]
        if predicate.get("task"):  # labels say nothing of what is correct
            continue
        if not same_file(artifacts, str(predicate.get("subject", "")), evaluation, model, FILE):
            continue
        try:
            said = signing.verify(envelope, keys, predicate_type=PREDICATE_TYPE)["predicate"]
            found = _ratings(ReviewPredicate.from_json(said))
        except (PosologyError, KeyError, TypeError, ValueError) as error:
            problem = f"the ratings can't be believed: {getattr(error, 'message', repr(error))}"
    return found, problem


def same_file(artifacts: ArtifactStore, subject: str, evaluation: str, model: str, path: str) -> bool:
    """Whether `subject` is this evaluation, or another of the same weights whose file of answers has the same bytes."""
    if subject == evaluation:
        return True
    try:
        theirs, ours = artifacts.manifest(subject), artifacts.manifest(evaluation)
    except (NotFound, PosologyError):
        return False
    answers = [{f.sha256 for f in manifest.files if f.path == path} for manifest in (theirs, ours)]
    return theirs.kind == "evaluation" and model in theirs.parents and bool(answers[0]) and answers[0] == answers[1]


def _ratings(review: ReviewPredicate) -> HumanRatings:
    return HumanRatings(
        rated=review.rated,
        errors=review.errors,
        harmful=int(review.numbers["severities"]["HARMFUL"]),
        raters=int(review.policy["reviewers"]),
        kinds=review.reviewer_kinds,
        agreement=review.numbers.get("agreement"),
        self_agreement=review.numbers.get("self_agreement"),
        repeated=int(review.numbers.get("repeated", 0)),
    )
