"""gRPC for keys and answer records: decode, delegate, encode."""

from datetime import UTC, datetime
from typing import Any

import grpc.aio

from posology.core import names
from posology.core.errors import InvalidInput, Violation
from posology.core.rpc import context
from posology.core.store import Database
from posology.gateway import answers, convert
from posology.gateway.domain import ApiKey
from posology.gateway.keyring import Keyring
from posology.gateway.keys import Authenticator
from posology.v1alpha1 import gateway_pb2 as pb
from posology.v1alpha1 import gateway_pb2_grpc

Context = grpc.aio.ServicerContext[Any, Any]


class GatewayServicer(gateway_pb2_grpc.GatewayServicer):
    """See gateway.proto."""

    def __init__(self, db: Database, keyring: Keyring, keys: Authenticator) -> None:
        self._db = db
        self._keyring = keyring
        self._keys = keys

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, _: Context) -> pb.ApiKey:
        namespace, expires = names.namespace_of_parent(request.parent), convert.expiry_from_proto(request)
        limits, display_name = convert.limits_from_proto(request), request.display_name
        if expires is not None and expires <= datetime.now(UTC):
            raise InvalidInput.of([Violation("expire_time", "is in the past")])
        if request.validate_only:
            draft = ApiKey("", namespace, display_name, "", "", datetime.now(UTC), limits, expires)
            return convert.key_to_proto(draft)
        key, text = await self._keyring.create(
            namespace=namespace,
            display_name=display_name,
            limits=limits,
            expires_at=expires,
            request_id=request.request_id,
            actor=context.caller.get().subject,
        )
        return convert.key_to_proto(key, secret=text)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, _: Context) -> pb.ListApiKeysResponse:
        namespace = names.namespace_of_parent(request.parent)
        keys, token = await self._keyring.list_page(
            namespace=namespace, size=request.page_size, token=request.page_token
        )
        return pb.ListApiKeysResponse(api_keys=map(convert.key_to_proto, keys), next_page_token=token)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, _: Context) -> pb.ApiKey:
        name = names.parse(request.name, "apiKeys")
        key = await self._keyring.revoke(namespace=name.namespace, key_id=name.id, actor=context.caller.get().subject)
        self._keys.forget(name.id)
        return convert.key_to_proto(key)

    async def GetAnswer(self, request: pb.GetAnswerRequest, _: Context) -> pb.Answer:
        name = names.parse(request.name, "answers")
        async with self._db.read() as tx:
            return convert.answer_to_proto(await answers.get(tx, namespace=name.namespace, answer_id=name.id))

    async def EraseAnswer(self, request: pb.EraseAnswerRequest, _: Context) -> pb.Answer:
        name = names.parse(request.name, "answers")
        actor = context.caller.get().subject
        async with self._db.begin() as tx:
            erased = await answers.erase(tx, namespace=name.namespace, answer_id=name.id, actor=actor)
        await self._db.forget()  # where a reader holds it back, the next sweep does it
        return convert.answer_to_proto(erased)

    async def ListAnswers(self, request: pb.ListAnswersRequest, _: Context) -> pb.ListAnswersResponse:
        async with self._db.read() as tx:
            page, token = await answers.list_page(
                tx,
                namespace=names.namespace_of_parent(request.parent),
                model_digest=request.model,
                deployment=request.deployment,
                size=request.page_size,
                token=request.page_token,
            )
        return pb.ListAnswersResponse(answers=map(convert.answer_to_proto, page), next_page_token=token)
