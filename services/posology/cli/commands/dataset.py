"""dataset card, drops, gaps, sample, compare: what a data set holds, what it left out and why, and beside another."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from posology.cli import state
from posology.cli.state import State
from posology.client import Client
from posology.client.set_comparison import compare_sets, table
from posology.client.stored import Stored
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound, Violation

What = Annotated[str, typer.Argument(help="A run, or a data set's digest (sha256:...).")]
Of = Annotated[str, typer.Option(help="Of a run: its data, general or preferences.")]
Row = Mapping[str, Any]
_STAGES = {"data": ("corrections", "curate"), "general": ("general",), "preferences": ("preferences",)}
_FILES = ("train.jsonl", "validation.jsonl", "development.jsonl", "general.jsonl", "preferences.jsonl")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Look into a data set: its card, its drops, its gaps, a sample; compare two.", no_args_is_help=True
    )
    for command in (card, drops, gaps, sample, compare):
        group.command()(command)
    app.add_typer(group, name="dataset")


def card(context: typer.Context, what: What, of: Of = "data") -> None:
    """Show the data card: counts, kinds, coverage by label, drops by reason, recipe."""
    at = state.of(context)
    digest, stored = _find(at, what, of)
    content = _json(stored, digest, "card.json")
    at.write.value({"digest": digest, **content}, "\n".join(_card_lines(digest, content)))


def drops(
    context: typer.Context,
    what: What,
    of: Of = "data",
    reason: Annotated[str, typer.Option(help="Only this reason, such as min_words; without it, counts.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="Most drops to show.")] = 20,
) -> None:
    """Count what was dropped by stage and reason, or list the drops of one reason with their evidence."""
    at = state.of(context)
    digest, stored = _find(at, what, of)
    rows = list(_lines(stored, digest, "drops.jsonl"))
    if not reason:
        counts = Counter((row["stage"], row["reason"]) for row in rows)
        values = [{"stage": s, "reason": r, "drops": n} for (s, r), n in counts.most_common()]
        at.write.rows(values, ("STAGE", "REASON", "DROPS"), [tuple(value.values()) for value in values])
        return
    chosen = [row for row in rows if row["reason"] == reason]
    if not chosen:
        known = ", ".join(sorted({row["reason"] for row in rows})) or "none"
        raise InvalidInput.of([Violation("--reason", f"nothing was dropped for {reason!r}; reasons are: {known}")])
    shown = chosen[:limit]
    cells = [(row["detail"], _question(row["pair"]), row["source"]) for row in shown]
    at.write.rows(shown, ("WHY", "QUESTION", "SOURCE"), cells)
    if len(chosen) > limit:
        at.write.note(f"{len(chosen) - limit} more; --limit shows more")


def gaps(
    context: typer.Context,
    what: What,
    of: Of = "data",
    missing: Annotated[str, typer.Option(help="Only this attribute, such as 'a dose'.")] = "",
) -> None:
    """List what labels have and no pair asks about, label by label, with the reason."""
    at = state.of(context)
    digest, stored = _find(at, what, of)
    rows = [row for row in _lines(stored, digest, "gaps.jsonl") if missing in ("", row["missing"])]
    cells = [(row["drug"], row["missing"], row["reason"], row["source"]) for row in rows]
    at.write.rows(rows, ("DRUG", "MISSING", "WHY", "SOURCE"), cells)


def sample(
    context: typer.Context,
    what: What,
    of: Of = "data",
    count: Annotated[int, typer.Option(min=1, help="How many rows.")] = 10,
    kind: Annotated[str, typer.Option(help="Only this question type.")] = "",
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = 0,
) -> None:
    """Show rows drawn by the seed, whole: question, answer, evidence, source."""
    at = state.of(context)
    digest, stored = _find(at, what, of)
    rows = [row for path in _FILES for row in _lines(stored, digest, path) if _is_kind(row, kind)]
    if not rows:
        raise NotFound(f"{digest} has no row{f' of kind {kind!r}' if kind else ''}")
    drawn = sorted(rows, key=lambda row: hashlib.sha256(f"{seed} {row['id']}".encode()).digest())[:count]
    at.write.value(drawn, "\n\n".join(_row_text(row) for row in drawn))


def compare(
    context: typer.Context,
    first: What,
    second: What,
    n: Annotated[int, typer.Option(min=0, help="Rows of each; 0 = as many as the smaller set has.")] = 0,
    seed: Annotated[int, typer.Option(help="Another seed draws other rows.")] = 0,
) -> None:
    """Show two data sets beside each other at equal n, such as expert-written pairs and generated ones."""
    at = state.of(context)
    digests, stored = zip(*(_find(at, what, "data", reviewed=True) for what in (first, second)), strict=True)
    figures = compare_sets(stored[0], digests[0], digests[1], n=n, seed=seed)
    listed = [
        {"set": what, "digest": digest, **asdict(one)}
        for what, digest, one in zip((first, second), digests, figures, strict=True)
    ]
    at.write.rows(listed, ("FIGURE", first.upper()[:40], second.upper()[:40]), table(figures))


def _find(at: State, what: str, of: str, *, reviewed: bool = False) -> tuple[str, Stored]:
    """The digest of the set that is meant (with `reviewed`, as experts left it), and where its bytes are."""
    if of not in _STAGES:
        raise InvalidInput.of([Violation("--of", f"{of!r} is not one of {', '.join(_STAGES)}")])

    async def work(client: Client) -> tuple[str, Stored]:
        if what.startswith("sha256:"):
            return what, client.stored()
        run = await client.show(what)
        made = {stage.stage: stage.artifact for stage in run.stages if stage.artifact}
        planned = [name for name in _STAGES[of] if name in {stage.stage for stage in run.stages}]
        if not planned:
            raise FailedPrecondition(f"{run.name} makes no {of}: its spec asks for none")
        if planned[0] not in made:
            raise FailedPrecondition(f"{run.name} has made no {of} yet: {run.message}")
        return (made.get("review-data") if reviewed else "") or made[planned[0]], client.stored()

    return at.call(work)


def _json(stored: Stored, digest: str, path: str) -> dict[str, Any]:
    _need(stored, digest, path)
    content: dict[str, Any] = stored.json(digest, path)
    return content


def _lines(stored: Stored, digest: str, path: str) -> Iterator[dict[str, Any]]:
    if path not in _FILES:
        _need(stored, digest, path)
    return stored.rows(digest, path)


def _need(stored: Stored, digest: str, path: str) -> None:
    stored.manifest(digest)  # NotFound names the artifact
    if not stored.has(digest, path):
        raise NotFound(f"{digest} has no {path}: it is no data set, or one of an earlier version")


def _is_kind(row: Row, kind: str) -> bool:
    return not kind or row.get("question_type") == kind


def _question(pair: Row | None) -> str:
    return str(pair["prompt"][-1]["content"]) if pair else ""


def _row_text(row: Row) -> str:
    """One row as text; brackets of the text are no markup."""
    answers = [(name, row[name][-1]["content"]) for name in ("completion", "chosen", "rejected") if name in row]
    named = {"completion": "answer"}
    lines = [f"[bold]{_plain(row['id'])}[/]  {_plain(row.get('question_type', ''))}  {_plain(row.get('drug', ''))}"]
    lines += [f"  question  {_plain(_question(row))}"]
    lines += [f"  {named.get(name, name):<9} {_plain(text)}" for name, text in answers]
    lines += [f"  evidence  {_plain(row['evidence'])}"] if row.get("evidence") else []
    return "\n".join([*lines, f"  source    {_plain(row.get('source', ''))}"])


def _plain(text: object) -> str:
    from rich.markup import escape

    return escape(" ".join(str(text).split()))


def _columns(pairs: Iterable[tuple[str, object]]) -> Iterator[str]:
    """Names and values beside each other, with two spaces after the longest name."""
    rows = list(pairs)
    width = max((len(name) for name, _ in rows), default=0) + 2
    yield from (f"  {name:<{width}}{value}" for name, value in rows)


def _card_lines(digest: str, content: Mapping[str, Any]) -> Iterator[str]:
    yield f"[bold]{digest}[/]"
    pairs = content.get("pairs", {})
    counts_of = pairs if isinstance(pairs, Mapping) else {"pairs": pairs, **content.get("kinds", {})}
    yield from _columns(counts_of.items())
    if content.get("coverage"):
        yield "[bold]labels asked about, of those that have it[/]"
        yield from _columns(
            (name, f"{counts['asked']} of {counts['labels']} ({counts['asked'] / counts['labels']:.0%})")
            for name, counts in content["coverage"].items()
        )
    if content.get("question_types"):
        yield "[bold]question types[/]"
    ordered = sorted(content.get("question_types", {}).items(), key=lambda item: -item[1])
    yield from _columns((_plain(kind), count) for kind, count in ordered)
    yield "[bold]dropped[/]"
    drops = content.get("drops", {}).items()
    yield from _columns((f"{stage}/{reason}", count) for stage, reasons in drops for reason, count in reasons.items())
