"""A scripted reviewer: rates by the same RPCs as a person, and says in every rating that it is none.

It checks what a script can check: that the answer's value stands in the label section and in the sentence that is
given as evidence, and that a rejected answer does not.

    python -m examples.demo.reviewer RUN [--data DIR]
"""

from __future__ import annotations

import argparse
import asyncio
import re
from pathlib import Path

from posology.client import Client, Installation
from posology.v1alpha1 import curation_pb2
from posology.v1alpha1.curation_pb2 import ReviewRating
from posology.v1alpha1.orchestrator_pb2 import Stage

KIND = "automated stand-in, not an expert"
NAME = "label-text-check"
_OPEN_BOOK = re.compile(r"^The answer is (.+)\.$", re.DOTALL)


def judge(item: curation_pb2.ReviewItem) -> tuple[ReviewRating.Judgement.ValueType, str]:
    """The judgement on one item, and why."""
    claim = _claim(item.answer)
    if not _states(item.section_text, claim):
        return ReviewRating.MAJOR_ERROR, f"the label section does not state {claim!r}"
    if not _states(item.evidence, claim):
        return ReviewRating.MINOR_ERROR, f"the evidence does not state {claim!r}"
    if item.rejected and _states(item.evidence, _claim(item.rejected)):
        return ReviewRating.MINOR_ERROR, "the rejected answer is right as well"
    return ReviewRating.CORRECT, "the label says the same"


async def review(client: Client, name: str) -> int:
    """Rate every item of a review; return how many there were."""
    count = 0
    while item := await client.next_item(name, reviewer=NAME):
        judgement, comment = judge(item)
        rating = ReviewRating(
            item_id=item.item_id, reviewer=NAME, reviewer_kind=KIND, judgement=judgement, comment=comment
        )
        await client.submit_item(name, rating)
        count += 1
    if count:
        await client.confirm_review(name, reviewer=NAME)
    return count


def _claim(answer: str) -> str:
    found = _OPEN_BOOK.match(answer.strip())
    return found.group(1) if found else answer


def _states(text: str, claim: str) -> bool:
    """Whether `claim` stands in `text` as whole words: "20 mg" is not in "120 mg"."""
    return re.search(rf"(?<!\w){re.escape(_plain(claim))}(?!\w)", _plain(text)) is not None


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).casefold().strip(" .")


def main() -> None:
    """Rate the data reviews of a run on an embedded installation, for runs that are followed by hand."""
    parser = argparse.ArgumentParser(prog="python -m examples.demo.reviewer", description="Rate a run's open reviews.")
    parser.add_argument("run")
    parser.add_argument("--data", type=Path, help="data directory of the installation (default: that of `posology up`)")
    asked = parser.parse_args()
    print(asyncio.run(_reviewed(Installation.discover(asked.data), asked.run)))  # noqa: T201 - the command's answer


async def _reviewed(installation: Installation, run: str) -> str:
    async with Client(installation) as client:
        stages = (await client.show(run)).stages
        waiting = [one for one in stages if one.stage.startswith("review") and one.state == Stage.PAUSED]
        counts = {one.stage: await review(client, one.resource) for one in waiting}
    return "\n".join(f"{name}: {n} items rated by an {KIND}" for name, n in counts.items()) or "no review is open"


if __name__ == "__main__":
    main()
