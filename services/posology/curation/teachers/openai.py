"""A teacher behind any OpenAI-compatible API: several calls in flight, answers in order, resumed call by call.

Every answer is written to a journal as it arrives, so that a killed job asks, and pays, for nothing twice. No draft is
believed: each of its claims is held against the section (`claims`), and another model may judge it besides.
"""

import hashlib
import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from posology.core.errors import FailedPrecondition, Unavailable
from posology.core.model_endpoints.access import ModelAccess
from posology.core.model_endpoints.calls import Calls, OverBudget, Refused, Rejected
from posology.curation.domain import Section
from posology.curation.recipe import Budget
from posology.curation.teachers import Answer, Draft, Task
from posology.curation.teachers.chunks import chunks
from posology.curation.teachers.claims import unsupported
from posology.curation.teachers.journal import Journal, Record
from posology.curation.teachers.reading import Nonsense, drafts_of, json_of, schema_of
from posology.curation.teachers.usage import Usage
from posology.curation.teachers.wording import VERDICTS, Messages, Wishes, correction, judged, messages
from posology.curation.text.refusal import refuses

_NONSENSE_TRIES = 2  # a model that returns no JSON twice will not do so the third time
_OVER_BUDGET = "endpoint-budget"  # all runs together used what the endpoint allows; no other call gets through
_JUDGE_AFTER = 20  # items, before the failure budget may end the job
_VERSION = 2  # of prompts and checks; part of the journal's key and of the data card


def name_of(model: str, *, judge: str) -> str:
    """Name and version of the teacher that asks `model`; `judge` is "" without one."""
    return f"openai/{_VERSION} {model}" + (f", judged by {judge}" if judge else "")


@dataclass
class OpenAITeacher:
    """Asks `model` at a model endpoint for pairs about sections.

    `timeout` in seconds per call; `budget` is the share of calls that may fail; `spending` limits tokens and cost;
    `stopping` cuts pauses between tries short; `judge` is a model at the same endpoint that judges every pair ("" =
    none); `compose` puts a chunk of a section into words, (section, text, count, wishes) -> messages; `check` holds
    drafts against their section, which weak answers on purpose would not pass.
    """

    access: ModelAccess
    model: str
    journal: Path
    timeout: float = 60.0
    budget: float = 0.1
    per_section: int = 4
    wishes: Wishes = field(default_factory=Wishes)
    spending: Budget = field(default_factory=Budget)
    judge: str = ""
    in_flight: int = 8
    check: bool = True
    stopping: threading.Event = field(default_factory=threading.Event)
    compose: Callable[[Section, str, int, Wishes], Messages] = messages
    transport: httpx.BaseTransport | None = None
    usage: Usage = field(default_factory=Usage, init=False)
    sections: int = field(default=0, init=False)

    @property
    def name(self) -> str:
        return name_of(self.model, judge=self.judge)

    def progress(self) -> str:
        """What is used so far, and an estimate for all sections."""
        return self.usage.said(self.spending, sections=self.sections)

    def teach(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """Answers in the order of `tasks`; those in the journal are not asked for again."""
        self.sections = len(tasks)
        drugs = frozenset(word for task in tasks for word in task.section.drug.casefold().split() if len(word) > 4)
        journal = Journal.load(self.journal)
        calls = Calls(
            self.access,
            timeout=self.timeout,
            stopping=self.stopping,
            in_flight=self.in_flight,
            transport=self.transport,
            declines=refuses,
        )
        with calls, journal, ThreadPoolExecutor(self.in_flight) as pool:
            for answer in self._in_order(pool, tasks, lambda task: self._answer(task, calls, journal, drugs)):
                self.usage = journal.usage()
                if answer.failure == _OVER_BUDGET:
                    raise FailedPrecondition(f"{answer.detail}. What was answered is kept.")
                yield answer
                self._judge(journal)
            self._judge(journal, finished=True)

    def _in_order(
        self, pool: ThreadPoolExecutor, tasks: Sequence[Task], ask: Callable[[Task], Answer]
    ) -> Iterator[Answer]:
        """A window of calls in flight; leaving early cancels what has not started."""
        waiting: deque[Future[Answer]] = deque()
        todo = iter(tasks)
        try:
            waiting.extend(pool.submit(ask, task) for task in itertools.islice(todo, 2 * self.in_flight))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(ask, task) for task in itertools.islice(todo, 1))
        finally:
            for future in waiting:
                future.cancel()

    def _answer(self, task: Task, calls: Calls, journal: Journal, drugs: frozenset[str]) -> Answer:
        """All chunks of a section; what one chunk fails on does not lose what the others gave."""
        kept: list[Draft] = []
        rejected: list[tuple[Draft, str]] = []
        failure = detail = ""
        for text in chunks(task.section.text):
            record = self._recorded(self.compose(task.section, text, self.per_section, self.wishes), calls, journal)
            if record.failure:
                failure, detail = record.failure, record.detail
                continue
            for draft in dict.fromkeys(drafts_of(record.content)):
                reason = _unsupported(draft, task.section, drugs) if self.check else ""
                if reason:
                    rejected.append((draft, reason))
                else:
                    wanted_by = draft.audience if draft.audience in self.wishes.audiences else ""
                    kept.append(replace(draft, audience=wanted_by))
        if self.judge and kept:
            kept, doubted = self._judged(task.section, kept, calls, journal)
            rejected.extend(doubted)
        return Answer(task, tuple(kept), failure=failure, detail=detail, rejected=tuple(rejected))

    def _recorded(self, ask: Messages, calls: Calls, journal: Journal) -> Record:
        key = self._key(self.model, ask)
        record = journal.get(key)
        if record is None:
            if limit := journal.usage().exceeds(self.spending):
                return Record(failure="budget", detail=f"{limit}; raise the teacher's budget to go on")
            record = self._ask(ask, calls)
            if record.failure != _OVER_BUDGET:  # another attempt may find it raised
                journal.add(key, record)
        return record

    def _ask(self, ask: Messages, calls: Calls) -> Record:
        """One chunk's raw answer, checked to be readable. What was wrong is said once; then it is a failure."""
        why = ""
        spent = [0, 0]
        conversation = ask
        schema = schema_of(audiences=self.wishes.audiences, conversations=self.wishes.conversations > 0)
        for _ in range(_NONSENSE_TRIES):
            try:
                completion = calls.complete(self.model, conversation, schema=schema)
                spent[0] += completion.prompt_tokens or sum(len(turn["content"]) for turn in conversation) // 4
                spent[1] += completion.completion_tokens or len(completion.content) // 4
                if completion.cut:
                    raise Nonsense("it was cut off at the longest answer allowed: write fewer and shorter pairs")
                drafts_of(completion.content)
                return Record(completion.content, prompt_tokens=spent[0], completion_tokens=spent[1])
            except OverBudget as limit:
                return Record("", _OVER_BUDGET, str(limit), *spent)
            except Refused as refusal:
                return Record("", "refused", str(refusal), *spent)
            except Rejected as refusal:
                return Record("", "rejected", str(refusal), *spent)
            except Nonsense as nonsense:
                why = str(nonsense)
                conversation = ask + correction(completion.content, why)
            except Unavailable as error:
                return Record("", "unreachable", error.message, *spent)
        return Record("", "nonsense", why, *spent)

    def _judged(
        self, section: Section, drafts: list[Draft], calls: Calls, journal: Journal
    ) -> tuple[list[Draft], list[tuple[Draft, str]]]:
        """Every draft before the judge, all of a section in one call; one that is not judged is not kept."""
        ask = judged(section, section.text, [(_asked(draft), draft.answer) for draft in drafts])
        key = self._key(self.judge, ask)
        record = journal.get(key)
        if record is None:
            try:
                completion = calls.complete(self.judge, ask, schema=VERDICTS)
                record = Record(
                    completion.content,
                    prompt_tokens=completion.prompt_tokens,
                    completion_tokens=completion.completion_tokens,
                )
                verdicts_of(record.content)
            except (OverBudget, Refused, Rejected, Nonsense, Unavailable) as error:
                record = Record("", "judge", str(error))
            journal.add(key, record)
        verdicts = {} if record.failure else verdicts_of(record.content)
        unjudged = (False, record.detail or "the judge said nothing of it")
        kept = [draft for number, draft in enumerate(drafts, 1) if verdicts.get(number, unjudged)[0]]
        doubted = [
            (draft, f"judge: {verdicts.get(number, unjudged)[1]}")
            for number, draft in enumerate(drafts, 1)
            if not verdicts.get(number, unjudged)[0]
        ]
        return kept, doubted

    def _key(self, model: str, ask: Messages) -> str:
        """Everything that decides an answer: the model, and every word that it is told."""
        written = json.dumps([_VERSION, model, ask], ensure_ascii=False)
        return hashlib.sha256(written.encode("utf-8", "replace")).hexdigest()[:32]

    def _judge(self, journal: Journal, *, finished: bool = False) -> None:
        """Give up once failures exceed the budget; items count once, whatever number of calls they took."""
        done, failures = journal.counts()
        failed = sum(failures.values())
        enough = finished or done >= _JUDGE_AFTER
        if enough and failed and failed > self.budget * done:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(failures.items()))
            raise FailedPrecondition(
                f"the teacher {self.model} failed on {failed} of {done} sections ({reasons}); at most "
                f"{self.budget:.0%} may fail. Last reason: {journal.last_failure}. Mend the endpoint, or raise "
                "spec.curation.teacher.failureBudget; what was answered is kept."
            )


def _unsupported(draft: Draft, section: Section, drugs: frozenset[str]) -> str:
    """Why a draft must not be kept: its own claims, and what was answered earlier in its conversation."""
    if reason := unsupported(draft, section, drugs=drugs):
        return reason
    for at in range(1, len(draft.prompt), 2):
        if draft.prompt[at].role == "assistant":
            turn = replace(draft, prompt=draft.prompt[:at], answer=draft.prompt[at].content)
            if reason := unsupported(turn, section, drugs=drugs):
                return f"{reason}, in an earlier turn"
    return ""


def _asked(draft: Draft) -> str:
    """The question as a judge reads it: with the conversation before it."""
    if len(draft.prompt) == 1:
        return draft.prompt[0].content
    return "\n".join(f"[{turn.role}] {turn.content}" for turn in draft.prompt)


def verdicts_of(content: str) -> dict[int, tuple[bool, str]]:
    """Number -> (kept, reason) of a judge's answer; Nonsense when it holds none."""
    value: Any = json_of(content)
    listed = value.get("verdicts") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise Nonsense('the JSON has no list under "verdicts"')
    verdicts: dict[int, tuple[bool, str]] = {}
    for entry in listed:
        if isinstance(entry, dict) and isinstance(entry.get("number"), int):
            kept = entry.get("supported") is True and entry.get("answers") is True
            verdicts[entry["number"]] = (kept, str(entry.get("reason") or "not supported")[:200])
    return verdicts
