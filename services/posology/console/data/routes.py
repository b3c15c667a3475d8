"""Data sets: the card of each, coverage by drug and section, drops by reason with samples, and search in the pairs."""

import asyncio
import itertools
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from posology.client import Client
from posology.client.recall import DATA_KINDS
from posology.client.stored import Stored
from posology.console import pages

_SAMPLE, _PAIRS, _DISPUTED, _ROWS = 3, 50, 50, 500
CONTRADICTION = "possible-contradiction"
"""Tag of pairs that may contradict another one of the same drug."""
_FILES = ("train.jsonl", "validation.jsonl", "general.jsonl")


async def listing(request: Request) -> Response:
    """Every data set, general set and preference set."""
    client: Client = request.app.state.client
    sets = [one for kind in DATA_KINDS for one in await client.artifacts(kind)]
    sets.sort(key=lambda one: -one.create_time.seconds)
    return pages.page(request, "data/list.html", sets=sets)


async def one(request: Request) -> Response:
    """One set: card, coverage, drops, and the pairs that hold the words of `q`."""
    client: Client = request.app.state.client
    digest, query = request.path_params["digest"], request.query_params.get("q", "").strip()
    stored = client.stored()
    read = await asyncio.to_thread(_read, stored, digest, query.lower())
    return pages.page(request, "data/set.html", digest=digest, query=query, **read)


def _read(stored: Stored, digest: str, query: str) -> dict[str, Any]:
    card = stored.json(digest, "card.json") if stored.has(digest, "card.json") else {}
    coverage: Counter[tuple[str, str]] = Counter()
    pairs: list[dict[str, Any]] = []
    disputed: dict[str, list[dict[str, Any]]] = {}
    titles = _titles(stored, digest)
    for row in itertools.chain.from_iterable(stored.rows(digest, name) for name in _FILES if stored.has(digest, name)):
        coverage[(str(row.get("drug", "")), titles.get(str(row.get("section", "")), ""))] += 1
        if CONTRADICTION in row.get("tags", ()):
            disputed.setdefault(str(row.get("drug", "")), []).append(row)
        if query and len(pairs) < _PAIRS and query in str(row).lower():
            pairs.append(row)
    gaps: Counter[tuple[str, str]] = Counter()
    for row in stored.rows(digest, "gaps.jsonl"):
        gaps[(str(row.get("missing", "")), str(row.get("reason", "")))] += 1
    drops: dict[str, list[dict[str, Any]]] = {}
    counts: Counter[str] = Counter()
    if stored.has(digest, "drops.jsonl"):
        for row in stored.rows(digest, "drops.jsonl"):
            counts[str(row["reason"])] += 1
            if len(kept := drops.setdefault(str(row["reason"]), [])) < _SAMPLE:
                kept.append(row)
    return {
        "card": card,
        "coverage": sorted(coverage.items(), key=lambda one: (one[0][0], -one[1], one[0][1]))[:_ROWS],
        "covered": {"pairs": coverage.total(), "drugs": len({drug for drug, _ in coverage}), "sections": len(coverage)},
        "pairs": pairs,
        "gaps": gaps.most_common(100),
        "disputed": dict(itertools.islice(disputed.items(), _DISPUTED)),
        "drops": drops,
        "counts": counts.most_common(),
    }


def _titles(stored: Stored, digest: str) -> dict[str, str]:
    if not stored.has(digest, "sections.jsonl"):
        return {}
    return {str(row.get("id", "")): str(row.get("title", "")) for row in stored.rows(digest, "sections.jsonl")}


ROUTES = [Route("/data", listing), Route("/data/{digest}", one)]
