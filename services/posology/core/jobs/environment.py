"""What a launcher and the process that it starts agree on: names of variables, and the last words of a process."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from posology.core.errors import Violation
from posology.core.jobs.domain import Failure

SPEC_VARIABLE = "POSOLOGY_WORKER_SPEC"
"""Holds the path of a worker's spec.json."""
NODES, NODE_RANK, FIRST_NODE = "POSOLOGY_NODES", "POSOLOGY_NODE_RANK", "POSOLOGY_FIRST_NODE"
"""Set by a launcher that spreads an attempt over nodes; the last one is the host name of the first node."""
TERMINATION_LOG = Path("/dev/termination-log")
"""What a process writes here, Kubernetes shows as the reason of its end."""


def failure_to_text(failure: Failure) -> str:
    """A failure as the one line of JSON that `failure_from_text` reads."""
    return json.dumps(asdict(failure))


def failure_from_text(text: str) -> Failure | None:
    """The failure that a process left word of; None for any other text."""
    try:
        stored: Mapping[str, object] = json.loads(text)
        violations = tuple(Violation(**each) for each in stored["violations"])  # type: ignore[attr-defined]
        return Failure(str(stored["error"]), str(stored["message"]), violations)
    except (ValueError, KeyError, TypeError):
        return None


def memory_advice(expected: str) -> str:
    """What to do when memory did not suffice; `expected` is what the job was planned to need, "" if nobody knows."""
    return expected or "raise the memory limit of this kind of job, or give it less to do at once"
