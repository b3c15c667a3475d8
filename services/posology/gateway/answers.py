"""Answer records: durable before the bytes they speak of leave the gateway."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.engine import RowMapping

from posology.core import audit
from posology.core.errors import FailedPrecondition, NotFound
from posology.core.store import Database, Transaction, now, pages
from posology.gateway.domain import Answer, AnswerKind, AnswerState, Provenance
from posology.gateway.tables import answers

_BATCH = 256
_PROVENANCE = ("model_digest", "verdict_digest", "run", "dataset")
_ENDING = ("state", "answer_hash", "text", "finish_reason", "prompt_tokens", "completion_tokens", "latency_ms")
_BEGIN = insert(answers)
_FINISH = (
    update(answers)
    .where(answers.c.id == bindparam("answer_id"))
    .values({name: bindparam(f"new_{name}") for name in _ENDING})
)


def new_answer_id() -> str:
    """120 random bits; the same id is in the header, in the body's `id` and in the engine's log."""
    return secrets.token_hex(15)


def digest(text: str) -> str:
    """`sha256:` of the UTF-8 bytes; anyone who holds the text can check a record with it."""
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


class AnswerLog:
    """Writes records in groups: whoever comes while a commit runs shares the next one."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._waiting: asyncio.Queue[tuple[str, Answer, asyncio.Future[None]]] = asyncio.Queue()

    async def begin(self, answer: Answer) -> None:
        """Returns once the record of a running answer is on disk."""
        await self._write("begin", answer)

    async def finish(self, answer: Answer) -> None:
        """Returns once the end of a begun answer is on disk."""
        await self._write("finish", answer)

    async def add(self, answer: Answer) -> None:
        """Returns once the record of an answer that is already whole is on disk."""
        await self._write("begin", answer)

    async def run(self) -> None:
        """Write until cancelled; what is waiting then is written first."""
        try:
            while True:
                await self._commit([await self._waiting.get(), *self._more()])
        except asyncio.CancelledError:
            if left := self._more():
                await self._commit(left)
            raise

    async def _write(self, what: str, answer: Answer) -> None:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.put_nowait((what, answer, written))
        await written

    def _more(self) -> list[tuple[str, Answer, asyncio.Future[None]]]:
        return [self._waiting.get_nowait() for _ in range(min(self._waiting.qsize(), _BATCH))]

    async def _commit(self, group: Sequence[tuple[str, Answer, asyncio.Future[None]]]) -> None:
        begun = [row_of(answer) for what, answer, _ in group if what == "begin"]
        ended = [_ending(answer) for what, answer, _ in group if what == "finish"]
        try:
            await self._db.write([(what, rows) for what, rows in ((_BEGIN, begun), (_FINISH, ended)) if rows])
        except Exception as error:  # noqa: BLE001 - whatever it is, each waiting request has to hear of it
            _tell([written for *_, written in group], error)
        else:
            _tell([written for *_, written in group], None)


def _tell(waiting: Sequence[asyncio.Future[None]], error: Exception | None) -> None:
    for written in waiting:
        if written.done():
            continue  # its request was cancelled
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)


def _ending(answer: Answer) -> dict[str, Any]:
    row = row_of(answer)
    return {"answer_id": answer.id} | {f"new_{name}": row[name] for name in _ENDING}


def row_of(answer: Answer) -> dict[str, Any]:
    """The answer as a row."""
    fields = {c.name: getattr(answer, c.name) for c in answers.c if c.name not in _PROVENANCE}
    provenance = {name: getattr(answer.provenance, name) for name in _PROVENANCE}
    return {**fields, **provenance, "kind": str(answer.kind), "state": str(answer.state)}


def answer_of(row: RowMapping) -> Answer:
    """The row as an answer."""
    fields = {name: value for name, value in row.items() if name not in _PROVENANCE}
    provenance = Provenance(**{name: row[name] for name in _PROVENANCE})
    answer = Answer(**fields, provenance=provenance)
    return replace(answer, kind=AnswerKind(answer.kind), state=AnswerState(answer.state))


async def get(tx: Transaction, *, namespace: str, answer_id: str) -> Answer:
    """The record; NotFound says where to look for the id."""
    query = select(answers).where(answers.c.namespace == namespace, answers.c.id == answer_id)
    row = (await tx.execute(query)).mappings().first()
    if row is None:
        raise NotFound(
            f'no answer "{answer_id}" in namespace "{namespace}"; a response has its id in x-posology-answer'
        )
    return answer_of(row)


async def list_page(
    tx: Transaction, *, namespace: str, model_digest: str = "", deployment: str = "", size: int = 0, token: str = ""
) -> tuple[list[Answer], str]:
    """Newest first, optionally of one model or one deployment, and the token of the next page."""
    query = select(answers).where(answers.c.namespace == namespace)
    if model_digest:
        query = query.where(answers.c.model_digest == model_digest)
    if deployment:
        query = query.where(answers.c.deployment == deployment)
    page = await pages.fetch(
        tx,
        query,
        order=(answers.c.created_at, answers.c.id),
        size=size,
        token=token,
        scope=f"answers {namespace} {model_digest} {deployment}",
        descending=True,
    )
    return [answer_of(row) for row in page.rows], page.next_token


async def mark_lost(tx: Transaction, *, older_than: timedelta) -> int:
    """Say LOST of answers that a gateway left behind when it died; how many there were."""
    limit = await now(tx) - older_than
    query = update(answers).where(answers.c.state == AnswerState.RUNNING, answers.c.created_at < limit)
    return (await tx.execute(query.values(state=str(AnswerState.LOST)))).rowcount


async def erase(tx: Transaction, *, namespace: str, answer_id: str, actor: str) -> Answer:
    """Take everything that was said out of a record: text and hashes, for a short text can be guessed from its hash.

    Who answered, when, with which weights and how many tokens stays, and so does the audit chain, which never held
    a text: it gets an entry that says who erased it. Erasing twice changes nothing.
    """
    answer = await get(tx, namespace=namespace, answer_id=answer_id)
    if answer.state is AnswerState.RUNNING:
        raise FailedPrecondition(f"{answer.name} is still being written; erase it when it has ended")
    if answer.erased_at is not None:
        return answer
    moment = await now(tx)
    nothing = {"prompt": None, "text": None, "prompt_hash": "", "answer_hash": "", "erased_at": moment}
    await tx.execute(update(answers).where(answers.c.id == answer_id).values(**nothing))
    await audit.append(tx, actor=actor, action="EraseAnswer", subject=answer.name)
    return await get(tx, namespace=namespace, answer_id=answer_id)


async def erase_text(tx: Transaction, *, older_than: timedelta) -> int:
    """Forget the text, not the hashes, of answers that are older; how many there were."""
    limit = await now(tx) - older_than
    kept = answers.c.prompt.is_not(None) | answers.c.text.is_not(None)
    query = update(answers).where(answers.c.created_at < limit, kept, answers.c.state != AnswerState.RUNNING)
    return (await tx.execute(query.values(prompt=None, text=None))).rowcount
