"""Run by the worker python: handlers over local folders, without a service around them.

`handle.py CASES.json` with a list of {"handler", "spec", "inputs": {digest: folder}, "workdir", "output", "log"}.
Metrics, progress and log lines go to `log` as JSON lines; the last one is the result, the error or the stop. Exit code
of the last case: 0, 1 (error) or 143 (stopped). KILL_AT, STOP_AT: the step at which it sends itself SIGKILL or SIGTERM.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from posology.core.errors import PosologyError
from posology.core.jobs.worker.runtime import Stopped
from posology.training.worker.handlers import HANDLERS


class LocalContext:
    """What a handler sees, over folders."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.job, self.attempt, self.spec = f"local-{case['name']}", 1, case["spec"]
        self.run, self.trace = "", os.environ.get("TRACE", "")
        self.workdir, self.output = Path(case["workdir"]), Path(case["output"])
        self.inputs = case["inputs"]
        self.stopping = threading.Event()
        self.kill_at = int(os.environ.get("KILL_AT", "0"))
        self.stop_at = int(os.environ.get("STOP_AT", "0"))
        self.out = Path(case["log"]).open("a")  # noqa: SIM115 - open until the process ends, however it ends
        for folder in (self.workdir, self.output):
            folder.mkdir(parents=True, exist_ok=True)

    def input(self, digest: str) -> Path:
        return Path(self.inputs[digest])

    def progress(self, done: float, total: float, message: str = "") -> None:
        self.write({"progress": [done, total, message]})

    def metric(self, step: int, **values: float) -> None:
        self.write({"metric": {"step": step, **values}})
        if "loss" in values and step == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if "loss" in values and step == self.stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    def checkpoint(self) -> None:
        self.write({"checkpoint": True})

    def log(self, message: str, **fields: object) -> None:
        self.write({"log": message, **fields})

    def secret(self, reference: str) -> str:
        return os.environ[reference]

    def write(self, entry: dict[str, Any]) -> None:
        self.out.write(json.dumps(entry) + "\n")
        self.out.flush()


def run(case: dict[str, Any]) -> int:
    ctx = LocalContext(case)
    signal.signal(signal.SIGTERM, lambda *_: ctx.stopping.set())
    try:
        result = HANDLERS[case["handler"]](ctx)  # type: ignore[arg-type]
    except Stopped as stop:
        ctx.write({"stopped": stop.step})
        return 143
    except PosologyError as error:
        ctx.write({"error": type(error).__name__, "message": error.message})
        return 1
    ctx.write({"result": dataclasses.asdict(result)})
    return 0


if __name__ == "__main__":
    codes = [run(case) for case in json.loads(Path(sys.argv[1]).read_text())]
    sys.exit(codes[-1])
