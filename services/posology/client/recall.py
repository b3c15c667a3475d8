"""From a label, a section or a drug down the graph: which data, models, verdicts and answers rest on it."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from posology.client.stored import Stored
from posology.core.errors import FailedPrecondition, NotFound
from posology.v1alpha1 import catalog_pb2
from posology.v1alpha1.evaluation_pb2 import Verdict
from posology.v1alpha1.serving_pb2 import Deployment

if TYPE_CHECKING:
    from posology.client.client import Client

DATA_KINDS = ("dataset", "general", "preferences")
PAIR_FILES = {
    "dataset": ("train.jsonl", "validation.jsonl", "development.jsonl"),
    "general": ("general.jsonl",),
    "preferences": ("preferences.jsonl",),
}
_NAMED_BY = (("section", ("id",)), ("label", ("set_id",)), ("drug", ("drug", "family")), ("source file", ("source",)))
"""What a section may be called, and its fields that say so."""


@dataclass(frozen=True)
class Section:
    """A section of a label; `pairs` is the largest number of pairs that rest on it in one artifact."""

    id: str
    drug: str
    title: str
    code: str
    set_id: str
    source: str
    pairs: int


@dataclass(frozen=True)
class Data:
    """A data set or preference set, and how many of its pairs rest on what is recalled."""

    digest: str
    kind: str
    pairs: int
    of: int
    by_file: Mapping[str, int]
    quarantine: str = ""


@dataclass(frozen=True)
class Made:
    """An adapter or model made from affected data."""

    digest: str
    kind: str
    quarantine: str = ""


@dataclass(frozen=True)
class Release:
    """A verdict on an affected model."""

    name: str
    model: str
    outcome: str
    artifact: str


@dataclass(frozen=True)
class Served:
    """A deployment of an affected model, and the answers that it gave."""

    name: str
    model_name: str
    model: str
    state: str
    traffic_percent: int
    answers: int


@dataclass(frozen=True)
class Recall:
    """Everything downstream of a section, a label or a drug."""

    what: str
    matched_as: str
    """`section`, `label`, `drug` or `source file`."""
    sections: tuple[Section, ...]
    """Those with the most pairs first."""
    data: tuple[Data, ...]
    made: tuple[Made, ...]
    verdicts: tuple[Release, ...]
    deployments: tuple[Served, ...]
    answers: int
    """Answers by affected models, of deployments that are gone as well."""
    unread: tuple[str, ...] = ()
    """Data sets whose bytes are not here: whether they rest on it is not known."""

    @property
    def affected(self) -> tuple[str, ...]:
        """Digests of what a recall withdraws, data first."""
        return tuple([one.digest for one in self.data] + [one.digest for one in self.made])

    @property
    def serving(self) -> tuple[Served, ...]:
        """Deployments that answer now."""
        return tuple(one for one in self.deployments if one.state in ("READY", "DEGRADED", "STARTING", "PENDING"))


async def recall(client: "Client", what: str) -> Recall:
    """Everything that rests on a section id, a label's set id, a drug or a source file; NotFound if nothing does."""
    stored = client.stored()
    artifacts = [artifact for kind in DATA_KINDS for artifact in await client.artifacts(kind)]
    looked = [await asyncio.to_thread(look, stored, artifact, what) for artifact in artifacts]
    unread = tuple([one.digest for one in artifacts if await asyncio.to_thread(stored.holding, one.digest) is None])
    matched_as = _matched_as(what, looked, unread)
    looked = [one for one in looked if one.matched_as == matched_as]
    data = tuple(one.data for one in looked if one.data.pairs)
    return await downstream(
        client, what=what, matched_as=matched_as, sections=_sections(looked), data=data, unread=unread
    )


async def downstream(
    client: "Client",
    *,
    what: str,
    matched_as: str,
    sections: tuple[Section, ...],
    data: tuple[Data, ...],
    unread: tuple[str, ...],
) -> Recall:
    """What was made from these data, with its verdicts, deployments and answers."""
    made = await _made(client, data)
    models = {one.digest for one in made if one.kind == "model"}
    deployments = [d for d in await client.deployments() if d.model in models]
    return Recall(
        what=what,
        matched_as=matched_as,
        sections=sections,
        data=data,
        made=made,
        verdicts=tuple([release for model in sorted(models) for release in await _releases(client, model)]),
        deployments=tuple([await _served(client, deployment) for deployment in deployments]),
        answers=sum([await client.count_answers(model=model) for model in sorted(models)]),
        unread=unread,
    )


@dataclass(frozen=True)
class Withdrawal:
    """What a withdrawal did: digests, and names of deployments."""

    withdrawn: tuple[str, ...]
    stopped: tuple[str, ...]


async def withdraw_all(client: "Client", recalled: Recall, *, reason: str, stop_serving: bool = False) -> Withdrawal:
    """Withdraw every affected artifact that is not withdrawn yet, and stop its deployments if wanted.

    Deployments go first: they are what reaches people. Safe to repeat.
    """
    stopped = tuple(one.name for one in recalled.serving) if stop_serving else ()
    for name in stopped:
        await client.undeploy(name)
    good = [data.digest for data in recalled.data if not data.quarantine]
    good += [made.digest for made in recalled.made if not made.quarantine]
    for digest in good:
        await client.quarantine(digest, reason=reason)
    return Withdrawal(tuple(good), stopped)


# --- data ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """What one artifact has of it; `counts` is by section id."""

    matched_as: str
    sections: tuple[Mapping[str, Any], ...]
    counts: Counter[str]
    data: Data


def look(stored: Stored, artifact: catalog_pb2.Artifact, what: str) -> Seen:
    """Bytes that are gone have nothing. Pairs that name no section (from existing JSON lines) count by themselves."""
    kind, digest = artifact.kind, artifact.digest
    matched_as, sections = match(stored.rows(digest, "sections.jsonl"), what)
    ids = {section["id"] for section in sections}
    counts, by_file, total = Counter[str](), dict[str, int](), 0
    for path in PAIR_FILES[kind]:
        rows = list(stored.rows(digest, path))
        alone, unplaced = match((row for row in rows if not row["section"]), what)
        placed = Counter(row["section"] for row in rows if row["section"] in ids)
        counts, total, matched_as = counts + placed, total + len(rows), matched_as or alone
        if hits := placed.total() + len(unplaced):
            by_file[path] = hits
    data = Data(digest, kind, sum(by_file.values()), total, by_file, artifact.quarantine_reason)
    return Seen(matched_as, sections, counts, data)


def match(rows: Iterable[Mapping[str, Any]], what: str) -> tuple[str, tuple[Mapping[str, Any], ...]]:
    """As what `what` is known, and the sections (or pairs) that it names; letter case does not matter."""
    known = list(rows)
    name = what.strip().casefold()
    for matched_as, fields in _NAMED_BY:
        if named := tuple(row for row in known if any(str(row.get(f, "")).casefold() == name for f in fields)):
            return matched_as, named
    return "", ()


def _matched_as(what: str, looked: Sequence[Seen], unread: Sequence[str]) -> str:
    known = next((one.matched_as for one in looked if one.matched_as), "")
    if not known and unread:
        raise FailedPrecondition(
            f"nothing that can be read here names {what!r}, but the bytes of {len(unread)} data sets are not here, so "
            f"nobody knows whether they rest on it: {', '.join(unread)}"
        )
    if not known:
        raise NotFound(
            f"no data set has a section, a label (set id), a drug or a source file called {what!r}; "
            "`posology explain ANSWER` shows the ids of sections"
        )
    return known


def _sections(looked: Sequence[Seen]) -> tuple[Section, ...]:
    """Every section that was matched, once."""
    rows = {row["id"]: row for one in looked for row in one.sections}
    pairs = {id: max(one.counts[id] for one in looked) for id in rows}
    order = sorted(rows.values(), key=lambda row: (-pairs[row["id"]], str(row["source"]), str(row["title"])))
    return tuple(
        Section(row["id"], row["drug"], row["title"], row["code"], row["set_id"], row["source"], pairs[row["id"]])
        for row in order
    )


# --- down ------------------------------------------------------------------------------------------


async def _made(client: "Client", data: Sequence[Data]) -> tuple[Made, ...]:
    made: dict[str, Made] = {}
    for one in data:
        for artifact in await client.trace(one.digest, down=True):
            if artifact.kind in ("adapter", "model"):
                made.setdefault(artifact.digest, Made(artifact.digest, artifact.kind, artifact.quarantine_reason))
    return tuple(made.values())


async def _releases(client: "Client", model: str) -> list[Release]:
    return [
        Release(verdict.name, verdict.model, Verdict.Outcome.Name(verdict.outcome), verdict.artifact)
        for verdict in await client.verdicts(model=model)
    ]


async def _served(client: "Client", deployment: Deployment) -> Served:
    return Served(
        name=deployment.name,
        model_name=deployment.model_name,
        model=deployment.model,
        state=Deployment.State.Name(deployment.state),
        traffic_percent=deployment.traffic_percent,
        answers=await client.count_answers(deployment=deployment.name),
    )
