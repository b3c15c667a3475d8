"""What was said against weights follows their files: evaluation knows it, whatever the weights are called now."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from typing import TYPE_CHECKING

from posology.core.errors import NotFound
from posology.serving.domain import FailureStands
from posology.v1alpha1 import evaluation_pb2 as pb

if TYPE_CHECKING:
    from posology.v1alpha1.evaluation_pb2_grpc import EvaluationAsyncStub


class Failures:
    """Asks evaluation, which keeps every verdict."""

    def __init__(self, evaluation: EvaluationAsyncStub) -> None:
        self._evaluation = evaluation

    async def check(self, namespace: str, model: str) -> None:
        """FailureStands while a FAIL of these weight files is not answered; Unavailable while nobody can tell."""
        request = pb.ListFailuresRequest(parent=f"namespaces/{namespace}", model=model)
        try:
            standing = (await self._evaluation.ListFailures(request)).failures
        except NotFound:
            return  # no weights to speak of: the release itself says so
        if standing:
            raise FailureStands(f"{model} may not serve: {'; '.join(standing)}")
