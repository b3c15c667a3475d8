"""A teacher behind any OpenAI-compatible API: several calls in flight, answers in order, resumed item by item.

Every answer is written to a journal as it arrives, so that a killed job asks, and pays, for nothing twice.
"""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from posology.core.errors import FailedPrecondition, Unavailable
from posology.curation.teachers import Answer, Task
from posology.curation.teachers.calls import Calls, Refused
from posology.curation.teachers.journal import Journal, Record
from posology.curation.teachers.reading import Nonsense, drafts_of
from posology.curation.teachers.wording import messages

_NONSENSE_TRIES = 2  # a model that returns no JSON twice will not do so the third time
_JUDGE_AFTER = 20  # items, before the failure budget may end the job


@dataclass
class OpenAITeacher:
    """Asks `model` at `endpoint` for pairs about sections.

    `timeout` in seconds per call; `budget` is the share of items that may fail; `stopping` cuts pauses between tries
    short; `compose` puts a section into words, (section, count, question types, examples) -> messages.
    """

    endpoint: str
    model: str
    journal: Path
    key: str = ""
    timeout: float = 60.0
    budget: float = 0.1
    per_section: int = 4
    question_types: tuple[str, ...] = ()
    examples: tuple[tuple[str, str], ...] = ()
    in_flight: int = 8
    stopping: threading.Event = field(default_factory=threading.Event)
    compose: Callable[..., list[dict[str, str]]] = messages
    transport: httpx.BaseTransport | None = None

    @property
    def name(self) -> str:
        return f"openai/1 {self.model}"

    def teach(self, tasks: Sequence[Task]) -> Iterator[Answer]:
        """Answers in the order of `tasks`; those in the journal are not asked for again."""
        journal = Journal.load(self.journal)
        calls = Calls(self.endpoint, self.key, timeout=self.timeout, stopping=self.stopping, transport=self.transport)
        with calls, journal, ThreadPoolExecutor(self.in_flight) as pool:
            for answer in self._in_order(pool, tasks, lambda task: self._answer(task, calls, journal)):
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

    def _answer(self, task: Task, calls: Calls, journal: Journal) -> Answer:
        key = self._key(task)
        record = journal.get(key)
        if record is None:
            record = self._ask(task, calls)
            journal.add(key, record)
        if record.failure:
            return Answer(task, failure=record.failure, detail=record.detail)
        return Answer(task, drafts_of(record.content)[: self.per_section])

    def _ask(self, task: Task, calls: Calls) -> Record:
        """One section's raw answer, checked to be readable; what cannot be mended by asking again is a failure."""
        asked = self.compose(task.section, self.per_section, self.question_types, self.examples)
        why = ""
        for _ in range(_NONSENSE_TRIES):
            try:
                content = calls.complete(self.model, asked)
                drafts_of(content)
                return Record(content=content)
            except Refused as refusal:
                return Record(failure="refused", detail=str(refusal))
            except Nonsense as nonsense:
                why = str(nonsense)
            except Unavailable as error:
                return Record(failure="unreachable", detail=error.message)
        return Record(failure="nonsense", detail=why)

    def _key(self, task: Task) -> str:
        return f"{self.model}:{self.per_section}:{','.join(self.question_types)}:{task.section.id}"

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
