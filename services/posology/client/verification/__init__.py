"""Checking a verdict without trusting any service: public keys, the artifacts' bytes, and the audit chains.

Nothing here calls a service. What a signature does not cover, or whose signature fails, is not believed.
"""

from posology.client.verification.audits import audits, chains_in
from posology.client.verification.domain import Check, Verification
from posology.client.verification.trusted_keys import TrustedKeys
from posology.client.verification.verify import Found, find, verify

__all__ = ["Check", "Found", "TrustedKeys", "Verification", "audits", "chains_in", "find", "verify"]
