"""What the services sign: each predicate typed once, with its type, its file, and how it reads and writes JSON."""

from posology.core.attestations.deny_list import DeniedDigest, DenyListPredicate
from posology.core.attestations.provenance import ProvenancePredicate
from posology.core.attestations.review import ReviewPredicate
from posology.core.attestations.verdict import Base, DerivedBase, Try, VerdictPredicate

__all__ = [
    "Base",
    "DeniedDigest",
    "DenyListPredicate",
    "DerivedBase",
    "ProvenancePredicate",
    "ReviewPredicate",
    "Try",
    "VerdictPredicate",
]
