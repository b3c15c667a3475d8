"""A process of a worker that is not its first: it does the same work, and tells the service nothing."""

import logging
from collections.abc import Callable, Mapping

from posology.core.jobs.domain import Failure, Progress
from posology.core.jobs.exit_codes import PEER_LOST_CODE, STOPPED_CODE
from posology.core.jobs.worker import ranks
from posology.core.jobs.worker.assignment import Assignment
from posology.core.jobs.worker.checkpoint_sync import CheckpointSync
from posology.core.model_endpoints.domain import Usage

log = logging.getLogger("posology.worker")


class NullReporter:
    """What a handler tells goes nowhere: rank 0 tells the same."""

    def progress(self, step: Progress) -> None:
        """Not sent."""

    def metric(self, step: int, values: Mapping[str, float]) -> None:
        """Not sent."""

    def usage(self, endpoint: str, usage: Usage) -> None:
        """Not sent: only rank 0 asks models."""

    def on_others_use(self, endpoint: str, listener: Callable[[Usage], None]) -> None:
        """Nobody tells."""

    def log(self, message: str, fields: Mapping[str, object]) -> None:
        """Not sent; this process's own log has it."""


def prepare(assignment: Assignment) -> None:
    """A workdir: on the machine of rank 0 its own, elsewhere a copy of what the attempt before handed on."""
    assignment.workdir.mkdir(parents=True, exist_ok=True)
    if assignment.checkpoints and ranks.is_first_of_another_machine():
        CheckpointSync(
            assignment.workdir, url=assignment.staging, prefix=assignment.checkpoints, attempt=assignment.attempt
        ).take_over()


def follow(run: Callable[[], object], failure_of: Callable[[Exception], Failure], stopped: type[Exception]) -> int:
    """Run the handler; the exit code. A failure is left to rank 0 to report."""
    try:
        run()
    except stopped:
        ranks.wait_for_the_first()
        return STOPPED_CODE
    except ranks.PeerLost as error:
        log.warning("another process is gone", exc_info=error)
        return PEER_LOST_CODE
    except Exception as error:
        log.error("the handler failed", exc_info=error)
        ranks.note_failure(failure_of(error))
        return 1
    ranks.wait_for_the_first()
    return 0
