"""What the installation's release policy asks for, and how the verdict meets each requirement."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from posology.client.verification.domain import Check, Failed, check
from posology.client.verification.trusted_keys import POLICY, TrustedKeys
from posology.core.attestations import VerdictPredicate
from posology.core.errors import PosologyError
from posology.core.release.carried import carried
from posology.core.release.check import Finding, findings
from posology.core.release.document import checked, policy_of
from posology.core.release.domain import ReleasePolicy


def checks(predicate: Mapping[str, Any], file: Path, keys: TrustedKeys) -> Iterator[Check]:
    """One line for the policy's signature, one for each of its requirements."""
    loaded: list[ReleasePolicy] = []

    def signature() -> str:
        policy, signer = _policy(file, keys)
        loaded.append(policy)
        return f"{policy.name}, signed by {signer} ({keys.keys[signer].id[:16]})"

    yield check("policy", "release policy", signature)
    if not loaded:
        return
    try:
        verdict = VerdictPredicate.from_json(predicate)
        reviews, bases = carried(verdict, lambda envelope, kind: keys.verify(envelope, kind)[0])
        lines = findings(loaded[0], verdict, reviews=reviews, bases=bases)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        lines = [Finding("a verdict that can be read", False, repr(error))]
    yield from (Check("policy", line.requirement, line.met, line.shown) for line in lines)


def _policy(file: Path, keys: TrustedKeys) -> tuple[ReleasePolicy, str]:
    try:
        statement, signer = keys.verify(json.loads(file.read_text()), POLICY)
        predicate = statement["predicate"]
        return policy_of(predicate["name"], checked(predicate["spec"])), signer
    except FileNotFoundError:
        raise Failed(f"there is none ({file}), so nothing is released") from None
    except (OSError, ValueError) as error:
        raise Failed(f"{file} can't be read: {error}") from error
    except PosologyError as error:
        raise Failed(error.message) from error
