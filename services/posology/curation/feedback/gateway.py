"""The gateway's records of answers, as this service asks for them."""

from __future__ import annotations  # the AsyncStub names exist for type checkers only

from posology.curation.feedback.domain import Text
from posology.v1alpha1 import gateway_pb2, gateway_pb2_grpc


class GatewayAnswers:
    """Texts of answers by gRPC."""

    def __init__(self, stub: gateway_pb2_grpc.GatewayAsyncStub) -> None:
        self._stub = stub

    async def text(self, answer: str) -> Text:
        """What the record holds; NotFound."""
        record = await self._stub.GetAnswer(gateway_pb2.GetAnswerRequest(name=answer))
        return Text(record.prompt, record.text, record.model_name)
