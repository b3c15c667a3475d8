"""The judge at work: pairs of answers in both orders, and single answers, a few at a time, within the budget."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any

import httpx

from posology.core.errors import Cancelled, FailedPrecondition
from posology.core.jobs.worker.runtime import Stopped
from posology.core.model_endpoints.access import ModelAccess
from posology.core.model_endpoints.calls import Calls, OverBudget, Refused, Rejected
from posology.core.retries import Backoff
from posology.evaluation import judging, refusal_judging
from posology.evaluation.domain import Answer, Calibrated, Judgement, Preference, Refusal
from posology.evaluation.judging import Compared
from posology.evaluation.questions import Item
from posology.evaluation.refusals import unfinished_thought, without_thoughts

_SECONDS, _IN_FLIGHT, _MOST_TOKENS = 120.0, 4, 300


class Judge:
    """One model at one endpoint. What it says is read and never believed: gates hold it against people."""

    def __init__(
        self,
        access: ModelAccess,
        model: str,
        stopping: threading.Event,
        *,
        transport: httpx.BaseTransport | None = None,
        backoff: Backoff | None = None,
        timeout: float = _SECONDS,
    ) -> None:
        self._model = model
        self._calls = Calls(
            access,
            timeout=timeout,
            stopping=stopping,
            in_flight=_IN_FLIGHT,
            transport=transport,
            backoff=backoff,
            max_tokens=_MOST_TOKENS,
        )

    def compare(
        self,
        prompts: Sequence[Item],
        base: Sequence[Answer],
        tuned: Sequence[Answer],
        *,
        on_item: Callable[[], None] = lambda: None,
    ) -> list[Judgement]:
        """Each prompt's two answers, in both orders, as preference for the candidate."""
        asked = {item.id: item.prompt for item in prompts}
        after = {answer.id: answer for answer in tuned}

        def one(answer: Answer) -> Judgement:
            first, second = without_thoughts(answer.text), without_thoughts(after[answer.id].text)
            orders = self._both(asked[answer.id], first, second)
            on_item()
            return Judgement(answer.id, answer.cluster, orders, len(first.split()), len(second.split()))

        return self._all(one, base)

    def calibrate(self, pairs: Sequence[Compared]) -> list[Calibrated]:
        """What it says of pairs that experts compared."""
        return self._all(lambda pair: Calibrated(self._both(pair.prompt, pair.a, pair.b), pair.expert), pairs)

    def classify(
        self,
        prompts: Sequence[Item],
        answers: Sequence[Answer],
        on_answer: Callable[[str, Refusal | None], None],
    ) -> None:
        """What each answer does, told as it is known, in this thread; None where nothing that it says can be read."""
        asked = {item.id: item.prompt for item in prompts}

        def one(answer: Answer) -> tuple[str, Refusal | None]:
            if unfinished_thought(answer.text):
                return answer.id, None
            text = without_thoughts(answer.text)
            if (known := refusal_judging.prefiltered(text)) is not None:
                return answer.id, known
            said = self._ask(refusal_judging.messages(asked[answer.id], text), refusal_judging.SCHEMA)
            return answer.id, refusal_judging.read(said)

        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            futures = [pool.submit(one, answer) for answer in answers]
            with _cancelling(futures):
                for future in as_completed(futures):
                    on_answer(*future.result())

    def _all(self, one: Callable[[Any], Any], pairs: Sequence[Any]) -> list[Any]:
        with ThreadPoolExecutor(_IN_FLIGHT) as pool:
            futures = [pool.submit(one, pair) for pair in pairs]
            with _cancelling(futures):
                return [future.result() for future in futures]

    def _both(self, prompt: str, a: str, b: str) -> tuple[Preference, Preference]:
        first = judging.read(self._ask(judging.messages(prompt, a, b), judging.SCHEMA))
        second = judging.turned(judging.read(self._ask(judging.messages(prompt, b, a), judging.SCHEMA)))
        return first, second

    def _ask(self, messages: list[dict[str, str]], schema: Mapping[str, Any]) -> str:
        """What it answers; empty where it answers this one not at all (too long, filtered): unscored, and counted as
        such. Errors that no other call survives are raised; none of them holds what the server wrote."""
        try:
            return self._calls.complete(self._model, messages, schema=schema).content
        except (Refused, Rejected):
            return ""
        except OverBudget as limit:
            raise FailedPrecondition(str(limit)) from None
        except Cancelled:
            raise Stopped from None


@contextmanager
def _cancelling(futures: Sequence[Future[Any]]) -> Iterator[None]:
    """Leaves no call waiting when one of them failed."""
    try:
        yield
    finally:
        for future in futures:
            future.cancel()
