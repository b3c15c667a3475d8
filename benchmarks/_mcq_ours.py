"""One side of mcq_questions.py, in the worker's environment: letter scoring as the evaluation worker does it."""

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from pathlib import Path

from posology.evaluation.domain import Choice, Scoring, Suite, SuiteKind
from posology.evaluation.suites import parse
from posology.evaluation.worker.client import EngineClient
from posology.evaluation.worker.journal import Journal
from posology.evaluation.worker.scoring import score
from posology.evaluation.worker.tokens import Template


async def main(options: dict[str, str], content: bytes) -> None:
    """Print {"seconds", "picked"} as JSON."""
    items = parse(content, SuiteKind.MULTIPLE_CHOICE, name="items")
    template = Template(Path(options["model"]))
    suite = Suite("items", "", scoring=Scoring(options["scoring"]))
    async with EngineClient.open(options["url"], name="model", in_flight=int(options["in_flight"])) as client:
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder, contextlib.closing(Journal(Path(folder), {})) as journal:
            scored = await score(client, template, suite, items, journal=journal, on_item=lambda: None)
            seconds = time.perf_counter() - began
            choices = [choice for choice in scored if isinstance(choice, Choice)]
    scores = [[score or 0.0 for score in choice.scores] for choice in choices]
    picked = [options.index(max(options)) for options in scores]
    print(json.dumps({"seconds": seconds, "picked": picked}))


if __name__ == "__main__":
    stated = json.loads(sys.argv[1])
    asyncio.run(main(stated, Path(stated["items"]).read_bytes()))
