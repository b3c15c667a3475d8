"""The rules of retries, fences and endings, without processes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from posology.core.jobs.domain import (
    Failure,
    Job,
    Outcome,
    Resources,
    RetryPolicy,
    State,
    after,
    sequence_of,
    slug,
)
from posology.core.jobs.service.rows import Attempt
from posology.core.jobs.service.supervision import Action, Timing, decide, ending
from posology.core.jobs.worker.eta import EtaEstimator

T0 = datetime(2026, 1, 1, tzinfo=UTC)
JOB = Job("namespaces/a/x/b", "k", {}, "", "me", "", "", State.RUNNING, "", 1, 0, T0, T0, T0)
ATTEMPT = Attempt("namespaces/a/x/b", 1, "", {}, T0, T0, T0, None, None, None, None, None, 0)
TIMING = Timing()
RETRY = RetryPolicy(failures=3, first=1.0, longest=3.0)
CRASH = Failure("Unavailable", "gone")


def later(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def look(job: Job, attempt: Attempt, seconds: float, *, since: datetime = T0) -> Action:
    return decide(job, attempt, time=later(seconds), since=since, timing=TIMING)


def test_failures_are_counted_up_to_the_limit() -> None:
    states = [after(replace(JOB, failures=n), Outcome.CRASHED, CRASH, retry=RETRY).state for n in range(3)]
    assert states == [State.PENDING, State.PENDING, State.FAILED]


def test_pauses_double_up_to_the_longest() -> None:
    assert [RETRY.pause(n).total_seconds() for n in (1, 2, 3, 4)] == [1, 2, 3, 3]


def test_stopping_counts_as_no_failure() -> None:
    decision = after(replace(JOB, failures=2), Outcome.STOPPED, None, retry=RETRY)
    assert (decision.state, decision.failures) == (State.PENDING, 2)


def test_a_cancelled_job_is_cancelled_however_its_attempt_ended() -> None:
    for outcome in (Outcome.STOPPED, Outcome.FAILED, Outcome.CRASHED, Outcome.LOST, Outcome.CANCELLED):
        decision = after(replace(JOB, state=State.CANCELLING), outcome, CRASH, retry=RETRY)
        assert decision.state is State.CANCELLED


@pytest.mark.parametrize("error", ["InvalidInput", "FailedPrecondition", "Exhausted", "DataCorrupt", "NotFound"])
def test_errors_of_the_user_are_final(error: str) -> None:
    assert after(JOB, Outcome.FAILED, Failure(error, "x"), retry=RETRY).state is State.FAILED


@pytest.mark.parametrize("error", ["Unavailable", "Timeout", "Conflict", "Internal", "a class we do not know"])
def test_everything_else_is_tried_again(error: str) -> None:
    assert after(JOB, Outcome.FAILED, Failure(error, "x"), retry=RETRY).state is State.PENDING


def test_a_silent_attempt_is_fenced_and_one_that_reports_is_left() -> None:
    assert look(JOB, ATTEMPT, TIMING.silence - 1) is Action.LEAVE
    assert look(JOB, ATTEMPT, TIMING.silence + 1) is Action.FENCE


def test_silence_while_the_service_was_away_does_not_count() -> None:
    assert look(JOB, ATTEMPT, 1000, since=later(990)) is Action.LEAVE
    assert look(JOB, ATTEMPT, 1000, since=later(900)) is Action.FENCE


def test_the_first_report_may_take_longer() -> None:
    starting = replace(ATTEMPT, attached_at=None)
    assert look(JOB, starting, TIMING.silence + 1) is Action.LEAVE
    assert look(JOB, starting, TIMING.start + 1) is Action.FENCE


def test_cancelling_asks_then_kills() -> None:
    cancelling = replace(JOB, state=State.CANCELLING)
    asked = replace(ATTEMPT, stop_at=T0)
    assert look(cancelling, ATTEMPT, 1) is Action.STOP
    assert look(cancelling, asked, TIMING.grace - 1) is Action.LEAVE
    assert look(cancelling, asked, TIMING.grace + 1) is Action.KILL


def test_a_worker_that_does_not_exit_after_its_report_is_killed() -> None:
    reported = replace(ATTEMPT, outcome=Outcome.RETURNED, ended_at=T0)
    publishing = replace(JOB, state=State.PUBLISHING)
    assert look(publishing, reported, TIMING.grace - 1) is Action.LEAVE
    assert look(publishing, reported, TIMING.grace + 1) is Action.KILL


def test_a_lost_attempt_and_one_that_is_not_current_are_killed() -> None:
    assert look(replace(JOB, attempt=2), replace(ATTEMPT, outcome=Outcome.LOST, ended_at=T0), 1) is Action.KILL
    assert look(replace(JOB, attempt=2), ATTEMPT, 1) is Action.KILL
    assert look(replace(JOB, state=State.CANCELLED), ATTEMPT, 1) is Action.KILL


@pytest.mark.parametrize(
    ("code", "outcome", "said"),
    [
        (143, Outcome.STOPPED, ""),
        (75, Outcome.STOPPED, ""),
        (-9, Outcome.CRASHED, "ran out of memory"),
        (-11, Outcome.CRASHED, "signal 11"),
        (1, Outcome.CRASHED, "exit code 1"),
        (None, Outcome.CRASHED, "without a result"),
    ],
)
def test_exit_codes_have_a_meaning(code: int | None, outcome: Outcome, said: str) -> None:
    found, failure = ending(code)
    assert found is outcome
    assert said in (failure.message if failure else "")


def test_names_become_different_folders() -> None:
    names = ["namespaces/a/b/c", "namespaces/a/b/c.d", "namespaces/a-b/c/d", "namespaces/a/bc/d"]
    assert len({slug(name) for name in names}) == len(names)
    assert all("/" not in slug(name) for name in names)


def test_an_empty_token_is_the_beginning() -> None:
    assert (sequence_of(""), sequence_of("17")) == (0, 17)


def test_the_eta_follows_the_pace_of_this_attempt() -> None:
    clock = [0.0]
    pace = EtaEstimator(clock=lambda: clock[0])
    assert pace.eta(500, 1000) is None
    clock[0] = 10.0
    assert pace.eta(600, 1000) == pytest.approx(40.0)
    assert pace.eta(0, 50) is None, "a new phase has no pace yet"


def test_resources_are_without_limit_by_default() -> None:
    assert (Resources().cpus, Resources().memory, Resources().gpus) == (None, None, 0)
