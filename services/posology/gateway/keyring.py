"""The keys in the database; every change is audited in its own transaction."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.engine import RowMapping

from posology.core import audit
from posology.core.errors import NotFound
from posology.core.store import Database, Transaction, now, pages
from posology.gateway.domain import ApiKey, KeyLimits
from posology.gateway.keys import hash_secret, key_text, new_key_id, new_secret, prefix_of
from posology.gateway.tables import api_keys


class Keyring:
    """Makes, finds, lists and revokes keys."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def create(
        self,
        *,
        namespace: str,
        display_name: str,
        limits: KeyLimits,
        expires_at: datetime | None = None,
        request_id: str = "",
        actor: str,
    ) -> tuple[ApiKey, str]:
        """A new key and its text, which is never seen again; a repeated `request_id` gives the key without it."""
        secret = new_secret()
        async with self._db.begin() as tx:
            if (known := await self._of_request(tx, namespace, request_id)) is not None:
                return known, ""
            key = _new_key(namespace, display_name, limits, expires_at, hash_secret(secret), await now(tx))
            await tx.execute(insert(api_keys).values(**_row(key), request_id=request_id or None))
            detail = {"displayName": display_name, "limits": vars(limits)}
            await audit.append(tx, actor=actor, action="CreateApiKey", subject=key.name, detail=detail)
        return key, key_text(key.id, secret)

    async def find(self, key_id: str) -> ApiKey | None:
        async with self._db.read() as tx:
            row = (await tx.execute(select(api_keys).where(api_keys.c.id == key_id))).mappings().first()
        return None if row is None else _key(row)

    async def list_page(self, *, namespace: str, size: int, token: str) -> tuple[list[ApiKey], str]:
        """Newest first, revoked ones too, and the token of the next page."""
        query = select(api_keys).where(api_keys.c.namespace == namespace)
        order = (api_keys.c.created_at, api_keys.c.id)
        async with self._db.read() as tx:
            page = await pages.fetch(
                tx, query, order=order, size=size, token=token, scope=f"keys {namespace}", descending=True
            )
        return [_key(row) for row in page.rows], page.next_token

    async def revoke(self, *, namespace: str, key_id: str, actor: str) -> ApiKey:
        """Make the key useless; revoking twice changes nothing."""
        async with self._db.begin() as tx:
            mine = (api_keys.c.namespace == namespace, api_keys.c.id == key_id)
            row = (await tx.execute(select(api_keys).where(*mine))).mappings().first()
            if row is None:
                raise NotFound(f'no API key "{key_id}" in namespace "{namespace}"; `posology keys list` shows them')
            if row["revoked_at"] is None:
                await tx.execute(update(api_keys).where(*mine).values(revoked_at=await now(tx)))
                await audit.append(tx, actor=actor, action="RevokeApiKey", subject=_key(row).name)
                row = (await tx.execute(select(api_keys).where(*mine))).mappings().one()
        return _key(row)

    async def _of_request(self, tx: Transaction, namespace: str, request_id: str) -> ApiKey | None:
        if not request_id:
            return None
        query = select(api_keys).where(api_keys.c.namespace == namespace, api_keys.c.request_id == request_id)
        row = (await tx.execute(query)).mappings().first()
        return None if row is None else _key(row)


def _new_key(
    namespace: str,
    display_name: str,
    limits: KeyLimits,
    expires_at: datetime | None,
    secret_hash: str,
    created_at: datetime,
) -> ApiKey:
    key_id = new_key_id()
    return ApiKey(
        id=key_id,
        namespace=namespace,
        display_name=display_name,
        prefix=prefix_of(key_id),
        secret_hash=secret_hash,
        created_at=created_at,
        limits=limits,
        expires_at=expires_at,
    )


def _row(key: ApiKey) -> dict[str, Any]:
    plain = {c.name: getattr(key, c.name) for c in api_keys.c if hasattr(key, c.name)}
    return {**plain, **vars(key.limits)}


def _key(row: RowMapping | Mapping[str, Any]) -> ApiKey:
    limits = KeyLimits(row["requests_per_minute"], row["concurrent_requests"], row["max_tokens"])
    return ApiKey(
        id=row["id"],
        namespace=row["namespace"],
        display_name=row["display_name"],
        prefix=prefix_of(row["id"]),
        secret_hash=row["secret_hash"],
        created_at=row["created_at"],
        limits=limits,
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
