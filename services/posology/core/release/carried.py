"""The statements that a verdict carries along and that a policy asks for: reviews, and verdicts on derived bases."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from posology.core.attestations import review as review_statement
from posology.core.attestations import verdict as verdict_statement
from posology.core.attestations.review import ReviewPredicate
from posology.core.attestations.verdict import VerdictPredicate
from posology.core.errors import PosologyError

Believe = Callable[[Mapping[str, Any], str], Mapping[str, Any]]
"""Envelope and predicate type to the statement; a PosologyError where the signature is not one that counts."""


def carried(verdict: VerdictPredicate, believe: Believe) -> tuple[list[ReviewPredicate], dict[str, VerdictPredicate]]:
    """Reviews, and verdicts by the digest of their weights. What can't be believed is as if it were not there."""
    reviews: list[ReviewPredicate] = []
    bases: dict[str, VerdictPredicate] = {}
    for one in verdict.statements:
        try:
            kind = payload(one["envelope"])["predicateType"]
            if kind == review_statement.PREDICATE_TYPE:
                reviews.append(ReviewPredicate.from_json(believe(one["envelope"], kind)["predicate"]))
            elif kind == verdict_statement.PREDICATE_TYPE:
                statement = believe(one["envelope"], kind)
                model = verdict_statement.model_of(statement["subject"])
                bases[model] = VerdictPredicate.from_json(statement["predicate"])
        except (PosologyError, KeyError, TypeError, ValueError, AttributeError):
            continue
    return reviews, bases


def payload(envelope: Mapping[str, Any]) -> dict[str, Any]:
    """The statement inside, NOT verified."""
    statement: dict[str, Any] = json.loads(base64.b64decode(envelope["payload"]))
    return statement
