"""The statements that a verdict carries: who signed each, and that it speaks of what these weights are made from."""

from collections.abc import Iterator, Mapping
from typing import Any

from posology.client import envelopes
from posology.client.verification.domain import Check, Failed, check
from posology.client.verification.trusted_keys import PROVENANCE, REVIEW, VERDICT, TrustedKeys
from posology.core.artifacts import Manifest
from posology.core.attestations import ProvenancePredicate, ReviewPredicate, VerdictPredicate
from posology.core.canonical import canonical_digest

Behind = Mapping[str, Manifest]


def checks(predicate: Mapping[str, Any], behind: Behind, keys: TrustedKeys) -> Iterator[Check]:
    """One line for each statement."""
    for index, carried in enumerate(predicate.get("statements", ())):
        yield check("statement", _name(carried, index), lambda one=carried: _statement(one, behind, keys))  # type: ignore[misc]


def _name(carried: Mapping[str, Any], index: int) -> str:
    """For the line's head only: nothing of it is believed."""
    try:
        statement = envelopes.payload(carried["envelope"])
        task = statement["predicate"].get("buildDefinition", {}).get("buildType", "").split("/")[-2:-1]
        if statement["predicateType"] == VERDICT:
            return "verdict on the base " + _digest(envelopes.subjects(statement)["model"])
        return "provenance of " + task[0] if task else "review of " + _digest(statement["predicate"]["subject"])
    except (KeyError, TypeError, ValueError, AttributeError):
        return f"number {index + 1}"


def _statement(carried: Mapping[str, Any], behind: Behind, keys: TrustedKeys) -> str:
    envelope = carried["envelope"]
    if canonical_digest(envelope) != carried["digest"]:
        raise Failed("its digest is not the one that the verdict names")
    predicate_type = envelopes.payload(envelope)["predicateType"]
    if predicate_type not in _KINDS:
        raise Failed(f"it is a {predicate_type}, which is no review, provenance or verdict")
    statement, signer = keys.verify(envelope, predicate_type)
    conclusion = _KINDS[predicate_type](statement, behind)
    return f"signed by {signer} ({keys.keys[signer].id[:16]}); {conclusion}"


def _review(statement: Mapping[str, Any], behind: Behind) -> str:
    review = ReviewPredicate.from_json(statement["predicate"])
    _about_what_is_behind(statement, behind)
    if review.result != "PASS":
        raise Failed(f"the review did not pass: {review.errors} errors in {review.rated} items")
    again = f"; {review.attempt.note}" if review.attempt else "; which try it was is not signed"
    return (
        f"{review.errors} errors in {review.rated} items, under {review.upper_bound:.2%}, "
        f"by {', '.join(review.reviewer_kinds) or 'nobody named'}{again}"
    )


def _provenance(statement: Mapping[str, Any], behind: Behind) -> str:
    inputs = set(ProvenancePredicate.from_json(statement["predicate"]).inputs)
    _about_what_is_behind(statement, behind)
    for digest in envelopes.subjects(statement).values():
        if inputs != set(behind[digest].parents):
            raise Failed(f"it names other inputs of {_digest(digest)} than its manifest does")
    made = ", ".join(_digest(digest) for digest in envelopes.subjects(statement).values())
    return f"{made} was made from {', '.join(_digest(one) for one in sorted(inputs))}"


def _verdict(statement: Mapping[str, Any], behind: Behind) -> str:
    """Of a base that was tuned itself."""
    _about_what_is_behind(statement, behind)
    return f"{VerdictPredicate.from_json(statement['predicate']).outcome} of the base that these weights come from"


def _about_what_is_behind(statement: Mapping[str, Any], behind: Behind) -> None:
    for digest in envelopes.subjects(statement).values():
        if digest not in behind:
            raise Failed(f"it is about {digest}, from which these weights were not made")


_KINDS = {REVIEW: _review, PROVENANCE: _provenance, VERDICT: _verdict}


def _digest(digest: str) -> str:
    return digest[:19]
