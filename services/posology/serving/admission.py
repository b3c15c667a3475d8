"""The one rule of what may serve: a verifying PASS for these weights and this engine configuration.

Serving asks it before it releases and deploys; every agent asks it again before its engine may answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from posology.core import signing
from posology.core.attestations import verdict as verdict_statement
from posology.core.release.carried import carried
from posology.core.release.check import findings, gaps
from posology.core.release.deny_list import DenyList, in_words
from posology.core.release.domain import ReleasePolicy
from posology.engine import EngineConfig
from posology.serving.domain import (
    AlteredVerdict,
    EvidenceInsufficient,
    MissingVerdict,
    NotReleased,
    OtherEngine,
    OtherName,
    OtherWeights,
    PolicyNotMet,
    RevokedKey,
    VerdictFailed,
    VerdictInvalid,
    Withdrawn,
    WrongKey,
)
from posology.serving.verdict import Verdict, read


@dataclass(frozen=True)
class Trust:
    """Who is believed: keys of verdicts and of reviews, ids of revoked ones, and the installation's policy."""

    keys: Sequence[signing.PublicKey]
    policy: ReleasePolicy
    review_keys: Sequence[signing.PublicKey] = ()
    revoked: frozenset[str] = frozenset()
    deny_list: DenyList = field(kw_only=True)
    """What was withdrawn; it has no default, because who does not know it may not release."""


def admit(
    envelope: Mapping[str, Any],
    *,
    model: str,
    engine: Mapping[str, Any] | None,
    namespace: str,
    model_name: str,
    trust: Trust,
    verdict_digest: str = "",
) -> Verdict:
    """The verdict, if it lets `model` serve as `model_name` under `engine`; each way of failing has its own error.

    `verdict_digest` is the verdict's own, where it is an artifact.
    """
    verdict = read(_verified(envelope, trust.keys, trust.revoked))
    _speaks_of(verdict, model)
    check_not_withdrawn(verdict, trust.policy, trust.deny_list, verdict_digest)
    _passes(verdict)
    _serves_as(verdict, namespace, model_name)
    _meets(verdict, trust)
    if engine is not None:
        _evaluated(verdict, engine)
    return replace(verdict, policy=trust.policy.name)


def check_not_withdrawn(verdict: Verdict, policy: ReleasePolicy, deny_list: DenyList, verdict_digest: str) -> None:
    """Withdrawn if the weights, the verdict, anything that it names or the policy is on the list."""
    if (entry := deny_list.denied([policy.digest])) is not None:
        raise Withdrawn(
            f"the release policy {policy.name} was withdrawn ({entry.reason}), so nothing is released under it; "
            "sign another"
        )
    if (entry := deny_list.denies(verdict.predicate, verdict.model, verdict_digest)) is not None:
        raise Withdrawn(f"{verdict.model} may not serve: {in_words(entry)}; train on what is good")


def _serves_as(verdict: Verdict, namespace: str, model_name: str) -> None:
    """Tries are counted by name: what was tried under one is not released under another."""
    predicate = verdict.predicate
    if (predicate.namespace, predicate.model_name) != (namespace, model_name):
        evaluated = f"{predicate.model_name or 'no name'} in {predicate.namespace or 'no namespace'}"
        raise OtherName(
            f"these weights were evaluated to serve as {evaluated}, not as {model_name} in {namespace}; "
            "deploy them by that name, or evaluate them for this one"
        )


def _meets(verdict: Verdict, trust: Trust) -> None:
    def believe(statement: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
        keys = trust.keys if kind == verdict_statement.PREDICATE_TYPE else trust.review_keys
        return signing.verify(statement, [key for key in keys if key.id not in trust.revoked], predicate_type=kind)

    reviews, bases = carried(verdict.predicate, believe)
    if missing := gaps(findings(trust.policy, verdict.predicate, reviews=reviews, bases=bases)):
        raise PolicyNotMet(
            f"the verdict on {verdict.model} is PASS, but does not show what the release policy {trust.policy.name} "
            f"wants: {'; '.join(missing)}"
        )


def _verified(
    envelope: Mapping[str, Any], keys: Sequence[signing.PublicKey], revoked: frozenset[str]
) -> Mapping[str, Any]:
    signers = {signature.get("keyid", "") for signature in envelope.get("signatures", ())}
    if signers & revoked:
        raise RevokedKey(
            f"the key {min(signers & revoked)} that signed this verdict was revoked; "
            "issue the verdict again with a key that is not: posology verdicts reissue"
        )
    try:
        return signing.verify(envelope, [key for key in keys if key.id not in revoked])
    except signing.UnknownKey as error:
        raise WrongKey(
            f"this verdict is not signed by a key that serving trusts ({error.message}); trusted are "
            f"{', '.join(key.id for key in keys) or 'none'}"
        ) from error
    except signing.NotSigned as error:
        raise MissingVerdict(f"these weights have no signed verdict: {error.message}") from error
    except signing.SignatureInvalid as error:
        raise AlteredVerdict(f"this verdict can't be believed: {error.message}") from error


def _speaks_of(verdict: Verdict, model: str) -> None:
    if verdict.model != model:
        raise OtherWeights(f"this verdict is about {verdict.model}, not about {model}; evaluate these weights")


def _passes(verdict: Verdict) -> None:
    missed = f" ({verdict.shortfalls})" if verdict.shortfalls else ""
    match verdict.outcome:
        case "PASS":
            return
        case "FAIL":
            raise VerdictFailed(f"the verdict on {verdict.model} is FAIL{missed}; only PASS serves")
        case "INSUFFICIENT_EVIDENCE":
            raise EvidenceInsufficient(
                f"the verdict on {verdict.model} is INSUFFICIENT_EVIDENCE{missed}; score more items, only PASS serves"
            )
        case "INVALID":
            raise VerdictInvalid(
                f"the verdict on {verdict.model} is INVALID{missed}: the evaluation itself was at fault; repeat it"
            )
        case other:
            raise NotReleased(f"the verdict on {verdict.model} says {other!r}, which is not PASS")


def _evaluated(verdict: Verdict, engine: Mapping[str, Any]) -> None:
    """The asked configuration equals the evaluated one; what it leaves open is taken from the verdict."""
    requested = EngineConfig.from_dict({**verdict.engine.to_dict(), **engine}).completed(verdict.engine)
    if differences := verdict.engine.differences(requested):
        raise OtherEngine(
            f"{verdict.model} was evaluated with another engine configuration: {'; '.join(differences)}; "
            "deploy what was evaluated, or evaluate again with this configuration"
        )
