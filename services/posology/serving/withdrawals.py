"""What was withdrawn may not serve: weights, and weights that rest on anything that was."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

import re
from typing import TYPE_CHECKING

from posology.core.names import parent_of
from posology.serving.domain import Withdrawn
from posology.v1alpha1 import catalog_pb2 as pb

if TYPE_CHECKING:
    from posology.v1alpha1.catalog_pb2_grpc import CatalogAsyncStub

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Withdrawals:
    """Asks the catalog, which owns quarantine and lineage."""

    def __init__(self, catalog: CatalogAsyncStub) -> None:
        self._catalog = catalog

    async def check(self, namespace: str, model: str, verdict: str = "") -> None:
        """Withdrawn if the weights, the verdict or anything behind them was, in all namespaces or in this one.

        Unavailable while nobody can tell: what cannot be checked is not released.
        """
        digests = [digest for digest in (model, verdict) if _DIGEST.fullmatch(digest)]
        response = await self._catalog.FindWithdrawals(
            pb.FindWithdrawalsRequest(parent=parent_of(namespace), digests=digests)
        )
        for withdrawal in response.withdrawals:
            raise Withdrawn(_words(model, withdrawal))


def _words(model: str, withdrawal: pb.Withdrawal) -> str:
    own = withdrawal.digest == model
    what = "was" if own else f"rests on the {withdrawal.kind} {withdrawal.digest}, which was"
    return f"{model} {what} withdrawn ({withdrawal.reason}), so it may not serve; train on what is good"
