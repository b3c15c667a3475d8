"""Trainings in MLflow, where MLFLOW_TRACKING_URI names a server: settings, curves as they come, and how it ended.

It stands beside the event file of TensorBoard's and names curves as that does. A tracker that is away, slow or broken
costs the training nothing: a thread sends what a bounded queue holds, tries again, says so once, and gives up at the
end. An interrupted training goes on in the run that it began, which is found by what this job alone has. Nothing of a
row leaves: settings, numbers and digests.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from posology.core.jobs.worker.runtime import JobContext, Stopped

VARIABLE = "MLFLOW_TRACKING_URI"
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
MOST_POINTS = 100_000
"""That wait to be sent; older ones are dropped while a server is away."""
AT_ONCE = 1000
"""Points of one request, and params of one request a tenth of them: MLflow takes no more."""
PAUSE_SECONDS = 1.0
LAST_SECONDS = 60.0
"""How long the end of a training waits for the tracker at most; its client alone takes seconds to import."""
LAST_TRIES = 4

log = logging.getLogger("posology.tracking")


@dataclass(frozen=True)
class About:
    """What a training is: its name for people, settings that were chosen, and what it can be found by."""

    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]


class Tracker(Protocol):
    """Takes the numbers of one training; never blocks and never raises."""

    def metrics(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Numbers of one step; `group` is `train` or `evaluations`."""


class Untracked:
    """Takes them and forgets them."""

    def metrics(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Point:
    """One number, when it came: `time` in milliseconds since the epoch."""

    key: str
    step: int
    value: float
    time: int


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as `optimisation.learning_rate`; lists in one line."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from flat(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield prefix, ",".join(map(str, value))
    else:
        yield prefix, str(value)


@contextmanager
def tracked(ctx: JobContext, about: Callable[[], About]) -> Iterator[Tracker]:
    """A tracker for the time of a training; `about` is asked only where there is a server."""
    if not os.environ.get(VARIABLE):
        yield Untracked()
        return
    mlflow = Mlflow(about(), say=ctx.log)
    mlflow.start()
    status = "FAILED"
    try:
        yield mlflow
        status = "FINISHED"
    except Stopped:
        status = "KILLED"
        raise
    finally:
        mlflow.end(status)


@dataclass
class Mlflow:
    """One run of MLflow's; everything that asks the server happens in its thread."""

    about: About
    say: Callable[..., None]
    _points: deque[Point] = field(default_factory=lambda: deque(maxlen=MOST_POINTS))
    _ended: threading.Event = field(default_factory=threading.Event)
    _status: str = ""
    _thread: threading.Thread | None = None
    _client: Any = None
    _run: str = ""
    _seen: dict[str, int] = field(default_factory=dict)
    _complained: bool = False

    def start(self) -> None:
        """Begin to send."""
        self._thread = threading.Thread(target=self._send_all, name="mlflow", daemon=True)
        self._thread.start()

    def metrics(self, group: str, step: int, values: Mapping[str, float]) -> None:
        """Queue them."""
        at = int(time.time() * 1000)
        self._points.extend(Point(f"{group}/{name}", step, float(value), at) for name, value in values.items())

    def end(self, status: str) -> None:
        """Send the rest and how it ended, or give up after LAST_SECONDS."""
        self._status = status
        self._ended.set()
        if self._thread is not None:
            self._thread.join(LAST_SECONDS)
            if self._thread.is_alive() and not self._complained:
                self.say("MLflow did not take the end of this training", waiting=len(self._points))

    # --- in the thread -------------------------------------------------------------------------------------

    def _send_all(self) -> None:
        pause, last_tries = PAUSE_SECONDS, LAST_TRIES
        while True:
            ended = self._ended.wait(pause)
            try:
                self._send()
                if ended:
                    self._client.set_terminated(self._run, status=self._status)
                    return
                pause = PAUSE_SECONDS
            except Exception as error:  # noqa: BLE001 - whatever a tracker does, the training goes on
                pause = min(2 * pause, 60.0)
                self._complain(error)
                if ended and (last_tries := last_tries - 1) == 0:
                    return
                if ended:
                    time.sleep(PAUSE_SECONDS)

    def _send(self) -> None:
        if not self._run:
            self._open()
        while self._points:
            batch = [self._points[number] for number in range(min(AT_ONCE, len(self._points)))]
            fresh = [point for point in batch if point.step > self._seen.get(point.key, -1)]
            if fresh:
                self._client.log_batch(self._run, metrics=list(map(_metric, fresh)))
            for _ in batch:
                self._points.popleft()

    def _open(self) -> None:
        """Go on in the run of this job, or begin one."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # workers say nothing to anybody else
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # tried again here, with what came meanwhile
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
        from mlflow.entities import Param
        from mlflow.tracking import MlflowClient

        self._client = client = MlflowClient()
        tags, params = self.about.tags, dict(self.about.params)
        experiment = _experiment(client, os.environ.get(EXPERIMENT) or "posology")
        own = [name for name in ("posology.job", "posology.trace") if name in tags]
        same = " and ".join(f"tags.`{name}` = '{tags[name]}'" for name in own)
        earlier = client.search_runs([experiment], filter_string=same, max_results=1)
        if earlier:
            run = earlier[0].info.run_id
            for key in earlier[0].data.metrics:  # what an interrupted attempt sent is not sent again
                self._seen[key] = max(each.step for each in client.get_metric_history(run, key))
            client.update_run(run, status="RUNNING")
        else:
            run = client.create_run(experiment, run_name=self.about.name, tags=dict(tags)).info.run_id
        given = [Param(key, value[:6000]) for key, value in params.items()]
        for start in range(0, len(given), AT_ONCE // 10):
            client.log_batch(run, params=given[start : start + AT_ONCE // 10])
        self._run = run
        self.say("tracked by MLflow", run=run, resumed=bool(earlier))

    def _complain(self, error: Exception) -> None:
        """Once: people who watch want to know, and not every second. The class alone: messages may show addresses."""
        log.warning("MLflow does not answer", exc_info=error)
        if not self._complained:
            self._complained = True
            self.say("MLflow does not take this training; it goes on without", reason=type(error).__name__)


def _experiment(client: Any, name: str) -> str:
    experiment = client.get_experiment_by_name(name)
    return str(experiment.experiment_id if experiment else client.create_experiment(name))


def _metric(point: Point) -> Any:
    from mlflow.entities import Metric

    return Metric(point.key, point.value, point.time, point.step)
