"""Run by the worker python: our SFT handler on local folders. Prints tokens per second and the seconds of the loop."""

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import transformers

from posology.training.domain import Lora, Method, Optimisation, Sft, SftTask
from posology.training.worker import sft


class Context:
    """Only what the handler calls."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.inputs = {"model": Path(case["model"]), "data": Path(case["data"]).parent}
        self.workdir, self.output = Path(case["output"]) / "work", Path(case["output"]) / "out"
        self.stopping = threading.Event()
        for folder in (self.workdir, self.output):
            folder.mkdir(parents=True)

    def input(self, digest: str) -> Path:
        return self.inputs[digest]

    def progress(self, done: float, total: float, message: str = "") -> None: ...

    def metric(self, step: int, **values: float) -> None: ...

    def checkpoint(self) -> None: ...

    def log(self, message: str, **fields: object) -> None: ...


def main() -> None:
    case = json.loads(sys.argv[1])
    steps = Optimisation(
        max_steps=case["steps"],
        learning_rate=case["learning_rate"],
        batch_size=case["batch_size"],
        max_length=case["max_length"],
        checkpoint_steps=case["steps"],
    )
    recipe = Sft(Method.LORA, Lora(dropout=0.0, target_modules=("all-linear",)), steps)
    spent: dict[str, float] = {}
    train = transformers.Trainer.train

    def timed(trainer: Any, *args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return train(trainer, *args, **kwargs)
        finally:
            spent["seconds"] = time.perf_counter() - started  # with the last evaluation and checkpoint

    transformers.Trainer.train = timed
    result = sft.train(Context(case), SftTask("model", "data", recipe))  # type: ignore[arg-type]
    rate = result.summary["tokens_per_second"]
    print("RESULT", json.dumps({"rate": rate, "seconds": spent["seconds"]}))


if __name__ == "__main__":
    main()
