"""The end of a review: the reviewed artifact (rejected items removed, review.json added) and a signed statement."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from posology.core.artifacts import ArtifactStore
from posology.core.attestations.review import PREDICATE_TYPE, ReviewPredicate
from posology.core.signing import Signer, statement
from posology.curation.review import domain, try_price
from posology.curation.review.domain import Item, Rating, Review, Task
from posology.curation.review.summary import Summary, passed

_DATA = {"dataset": ("train.jsonl", "validation.jsonl", "development.jsonl"), "preferences": ("preferences.jsonl",)}


def publish(
    store: ArtifactStore,
    review: Review,
    items: Sequence[Item],
    ratings: Mapping[str, Sequence[Rating]],
    summary: Summary,
) -> str:
    """Publish the reviewed artifact and give its digest. Blocking; doing it again gives the same digest."""
    rejected = {
        item.pair: ratings[item.id] for item in items if not item.repeat_of and _is_error(ratings[item.id], review)
    }
    with TemporaryDirectory(prefix="posology-review-") as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        if review.kind in _DATA:
            source = store.materialize(review.subject, Path(scratch) / "subject")
            for file in source.iterdir():
                if file.name in _DATA[review.kind]:
                    _copy_without(file, made / file.name, rejected)
                elif file.is_file():
                    shutil.copyfile(file, made / file.name)
            _append_drops(made / "drops.jsonl", rejected)
        report = json.dumps(record(review, items, ratings, summary), ensure_ascii=False, sort_keys=True, indent=1)
        (made / "review.json").write_text(report + "\n", encoding="utf-8")
        return store.publish(
            made,
            kind=review.kind if review.kind in _DATA else "review",  # of answers nothing is left to clean
            producer=f"posology-curation/{version('posology')}",
            parents=() if review.task is Task.RATE_FEEDBACK else (review.subject,),  # no artifact holds what users say
            parameters={"reviewed": summary.planned, "errors": summary.errors, "seed": review.drawn_by},
        )


def sign(
    signer: Signer, review: Review, ratings: Mapping[str, Sequence[Rating]], summary: Summary, *, artifact: str
) -> str:
    """The DSSE envelope (JSON) of what was observed; its subject is the reviewed artifact, or what failed."""
    predicate = ReviewPredicate(
        result="PASS" if passed(review, summary) else "FAIL",
        subject=review.subject,
        artifact=artifact,
        frame={"size": review.frame_size, "sha256": review.frame_digest, "seed": review.drawn_by},
        policy=_policy(review),
        numbers={**_task(review), **_attempt(review), **_numbers(summary), "reviewers": reviewers(ratings)},
    )
    subjects = {"reviewed": artifact} if artifact else {"failed": review.subject}
    return json.dumps(signer.sign(statement(PREDICATE_TYPE, subjects, predicate.to_json())), sort_keys=True)


def reviewers(ratings: Mapping[str, Sequence[Rating]]) -> list[dict[str, Any]]:
    """Who reviewed as what, and how much: one entry for each reviewer and kind, in order of names."""
    counts: dict[tuple[str, str], list[int]] = {}
    for rating in (rating for ratings_of_item in ratings.values() for rating in ratings_of_item):
        counts.setdefault((rating.reviewer, rating.kind), [0, 0])[rating.adjudication] += 1
    return [
        {"reviewer": reviewer, "kind": kind, "rated": rated, "adjudicated": adjudicated}
        for (reviewer, kind), (rated, adjudicated) in sorted(counts.items())
    ]


def record(
    review: Review, items: Sequence[Item], ratings: Mapping[str, Sequence[Rating]], summary: Summary
) -> dict[str, Any]:
    """What `review.json` holds: frame, policy, numbers, and every rating; no times, for equal content, equal digest."""
    return {
        "subject": review.subject,
        "frame": {"size": review.frame_size, "sha256": review.frame_digest, "seed": review.drawn_by},
        "policy": _policy(review),
        **_task(review),
        **_attempt(review),
        **_numbers(summary),
        "reviewers": reviewers(ratings),
        "items": [_item(item, ratings.get(item.id, ())) for item in items],
    }


def _task(review: Review) -> dict[str, Any]:
    """What was asked, where it was not whether answers are correct."""
    return {"task": review.task.value} if review.task is not Task.RATE_CORRECTNESS else {}


def _attempt(review: Review) -> dict[str, Any]:
    attempt = try_price.attempt_of(review)
    return {"try": attempt} if attempt else {}


def _policy(review: Review) -> dict[str, Any]:
    """The policy as it is signed; repeats only where there are any, so that other reviews keep their bytes."""
    return {name: value for name, value in vars(review.policy).items() if name != "repeats" or value}


def _numbers(summary: Summary) -> dict[str, Any]:
    agreed = summary.agreement
    carried = [one for one in summary.strata if not one.planned]
    return {
        "planned": summary.planned + sum(one.sampled for one in carried),
        "rated": summary.rated + sum(one.sampled for one in carried),
        "errors": summary.errors + sum(one.errors for one in carried),
        "severities": dict(summary.severities),
        "upper_bound": summary.upper_bound,
        "method": "one-sided hypergeometric by stratum, Bonferroni" if summary.strata else "one-sided Clopper-Pearson",
        "allowed_errors": summary.allowed_errors,
        "sufficient_sample": summary.sufficient_sample,
        "would_have_sufficed": summary.would_have_sufficed,
        "reviewer_kinds": list(summary.kinds),
        **(_repeated(summary) if summary.repeated else {}),
        **({"strata": [vars(one) | {"kinds": list(one.kinds)} for one in summary.strata]} if summary.strata else {}),
        "agreement": vars(agreed) | {"table": [list(row) for row in agreed.table]} if agreed else None,
    }


def _repeated(summary: Summary) -> dict[str, Any]:
    return {
        "repeated": summary.repeated,
        "self_agreement": summary.self_agreement,
        "self_agreement_ac1": summary.self_agreement_ac1,
    }


def _item(item: Item, ratings: Sequence[Rating]) -> dict[str, Any]:
    return {
        "pair": item.pair,
        **({"repeat": True} if item.repeat_of else {}),
        **({"stratum": item.stratum} if item.stratum else {}),
        "ratings": [
            {
                "reviewer": rating.reviewer,
                "kind": rating.kind,
                "judgement": rating.judgement.value,
                "comment": rating.comment,
                "adjudication": rating.adjudication,
                **({"correction": rating.correction} if rating.correction else {}),
            }
            for rating in sorted(ratings, key=lambda rating: (rating.adjudication, rating.reviewer))
        ],
    }


def _is_error(ratings: Sequence[Rating], review: Review) -> bool:
    verdict = domain.settled(ratings, review.policy.reviewers)
    return verdict is not None and verdict.error


def _copy_without(source: Path, target: Path, rejected: Mapping[str, Sequence[Rating]]) -> None:
    """Copy the lines of the pairs that stay; each keeps its bytes."""
    with source.open(encoding="utf-8") as lines, target.open("w", encoding="utf-8", newline="\n") as out:
        out.writelines(line for line in lines if json.loads(line)["id"] not in rejected)


def _append_drops(path: Path, rejected: Mapping[str, Sequence[Rating]]) -> None:
    with path.open("a", encoding="utf-8", newline="\n") as out:
        out.writelines(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in _drops(rejected))


def _drops(rejected: Mapping[str, Sequence[Rating]]) -> Iterable[dict[str, Any]]:
    for pair, ratings in sorted(rejected.items()):
        worst = next((r for r in ratings if r.adjudication), ratings[0])
        detail = "; ".join(r.comment for r in ratings if r.comment) or worst.judgement.value
        yield {
            "stage": "review",
            "reason": worst.judgement.value.casefold(),
            "detail": detail,
            "source": "",
            "pair": pair,
        }
