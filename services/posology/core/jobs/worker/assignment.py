"""What a worker is told at its start: spec.json, read once."""

import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from posology.core.errors import InvalidInput
from posology.core.jobs.environment import SPEC_VARIABLE


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """One attempt, as the service wrote it down. The token is the attempt's own and opens nothing else.

    `service` is host:port of the service; where `service_file` is set, that file holds the address after a
    restart. `workdir` outlives the attempt, `output` is its own; `prefix` in the staging area `staging` is
    where the service looks for the files of `output`. `inputs` is a cache folder that jobs share; `stores`
    are artifact URLs to read from, in this order. `heartbeat` and `patience` (how long a worker waits for
    a service that is away, before it began and after it ended) in seconds; `ca_file` and the two with it
    turn TLS on; `memory` in bytes, None for no limit; `expected` says what the job was planned to need. Where
    `checkpoints` is set, the workdir ends with the attempt, and what a handler saved in it is handed on below
    that prefix of the staging area. `secrets` is a folder with a file per secret, and `secrets_kept` says in
    words where it comes from. `endpoints` are the model endpoints that the attempt may use, by name: what
    `ModelEndpoint.grant` says, and under `others` the tokens that everybody else used.
    """

    job: str
    kind: str
    attempt: int
    token: str
    service: str
    spec: dict[str, Any]
    workdir: Path
    output: Path
    inputs: Path
    staging: str
    prefix: str
    checkpoints: str = ""
    stores: tuple[str, ...] = ()
    service_file: Path | None = None
    secrets: Path | None = None
    secrets_kept: str = ""
    exit_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    heartbeat: float = 5.0
    patience: float = 3600.0
    memory: int | None = None
    expected: str = ""
    run: str = ""
    trace: str = ""
    endpoints: dict[str, Any] = field(default_factory=dict)


_PATHS = {"workdir", "output", "inputs", "service_file", "secrets", "exit_file", "ca_file", "cert_file", "key_file"}


def read() -> Assignment:
    """The assignment of this process; InvalidInput if it was not started by a launcher."""
    path = os.environ.get(SPEC_VARIABLE)
    if not path:
        raise InvalidInput(f"{SPEC_VARIABLE} is not set: workers are started by a service, not by hand")
    return parse(json.loads(Path(path).read_text()))


def parse(stored: dict[str, Any]) -> Assignment:
    """Unknown keys are ignored, so that a service may be newer than its workers."""
    known = {field.name for field in fields(Assignment)} & stored.keys()
    values: dict[str, Any] = {name: stored[name] for name in known}
    values |= {name: Path(stored[name]) for name in known & _PATHS if stored[name]}
    return Assignment(**{**values, "stores": tuple(stored.get("stores", ()))})
