"""Run by the worker python: our SFT handler on local folders. Prints tokens per second and the seconds of the loop."""

import json
import sys
import time
from pathlib import Path
from typing import Any

import transformers
from _handler_context import Context

from posology.training.domain import Lora, Method, Optimisation, Sft, SftTask
from posology.training.worker import sft


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
    inputs = {"model": Path(case["model"]), "data": Path(case["data"]).parent}
    result = sft.train(Context(inputs, Path(case["output"])), SftTask("model", "data", recipe))  # type: ignore[arg-type]
    rate = result.summary["tokens_per_second"]
    print("RESULT", json.dumps({"rate": rate, "seconds": spent["seconds"]}))


if __name__ == "__main__":
    main()
