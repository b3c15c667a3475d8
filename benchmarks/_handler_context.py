"""What a training handler calls of a job, on local folders and without a service."""

import threading
from pathlib import Path


class Context:
    """Only what the handler calls."""

    def __init__(self, inputs: dict[str, Path], output: Path) -> None:
        self.inputs = inputs
        self.job, self.run, self.trace = "bench", "", ""
        self.workdir, self.output = output / "work", output / "out"
        self.stopping = threading.Event()
        for folder in (self.workdir, self.output):
            folder.mkdir(parents=True)

    def input(self, digest: str) -> Path:
        return self.inputs[digest]

    def progress(self, done: float, total: float, message: str = "") -> None: ...

    def metric(self, step: int, **values: float) -> None: ...

    def checkpoint(self) -> None: ...

    def log(self, message: str, **fields: object) -> None: ...
