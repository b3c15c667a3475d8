"""Explanations, recalls and verifications as people read them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from posology.cli.show import coloured
from posology.client.explain import Explanation, Sentence
from posology.client.recall import Data, Recall, Section, Served, Withdrawal
from posology.client.stale import Change, Stale

if TYPE_CHECKING:  # it brings SQLAlchemy, which no other command should wait for
    from posology.client.verification import Check, Verification

_MOST_SECTIONS = 10
_MOST_CHANGES = 20
_MOST_CHARACTERS = 300
_GOOD = {"PASS": "green", "READY": "green"}


def explanation_lines(explanation: Explanation) -> Iterator[str]:
    """An answer, and the way up from it."""
    answer = explanation.answer
    yield f"[bold]{answer['name']}[/]  {answer.get('state', '')}  {answer.get('createTime', '')}"
    if explanation.question:
        yield f"  question    {_text(explanation.question)}  [dim]({escape(explanation.question_from)})[/]"
    if answer.get("text"):
        yield f"  answer      {_text(answer['text'])}"
    yield "[bold]given by[/]"
    yield from _deployment(explanation.deployment)
    yield f"  weights     {answer.get('model', 'unknown')}"
    yield "[bold]released by[/]"
    yield f"  verdict     {_outcome(explanation.verdict['outcome'] or 'not found')}  {explanation.verdict['digest']}"
    yield from (f"              {escape(line)}" for line in explanation.verdict["gates"])
    yield "[bold]made from[/]"
    yield from _made_from(explanation)
    yield from (f"  [yellow]{escape(line)}[/]" for line in explanation.unread)
    if explanation.verdict["outcome"] or not explanation.verdict["digest"]:
        yield from _reviews(explanation.reviews)
    else:
        yield "[bold]reviewed[/]\n  not known"
    yield from _sentences(explanation)


def _deployment(deployment: Mapping[str, Any]) -> Iterator[str]:
    if not deployment:
        yield "  deployment  unknown"
        return
    share = f", {deployment['trafficPercent']}% of the traffic" if deployment.get("trafficPercent") else ""
    yield f"  deployment  {deployment['name']}  {_outcome(deployment.get('state', 'unknown'))}{share}"
    if deployment.get("run"):
        yield f"  run         {deployment['run']}"


def _made_from(explanation: Explanation) -> Iterator[str]:
    for artifact in explanation.made_from:
        kind = artifact.get("kind", "unknown")
        task = artifact.get("parameters", {}).get("task", "")
        label = f"{kind} ({task})" if task and kind == "adapter" else kind
        note = "  <- trained on this" if artifact["digest"] == explanation.dataset else ""
        withdrawn = artifact.get("quarantineReason", "")
        yield f"  {label:<14}{artifact['digest']}{note}" + (
            f"  [red]withdrawn: {escape(withdrawn)}[/]" if withdrawn else ""
        )


def _reviews(reviews: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "[bold]reviewed[/]"
    for review in reviews:
        kinds = ", ".join(review["reviewerKinds"]) or "nobody named"
        yield (
            f"  {_outcome(review['result'])}  {review['errors']} errors in {review['rated']} items, under "
            f"{review['upperBound']:.2%} (wanted under {review['limit']:.2%}), by [bold]{escape(kinds)}[/]"
        )
    if not reviews:
        yield "  no review is signed with this verdict"


def _sentences(explanation: Explanation) -> Iterator[str]:
    yield f"[bold]label text near the question[/]  [dim]({explanation.caution})[/]"
    if not explanation.question:
        yield f"  [dim]{escape(explanation.question_from)}[/]"
        return
    for number, one in enumerate(explanation.sentences, 1):
        yield from _sentence(number, one)
    if not explanation.sentences:
        yield "  no pair of the data set shares a word with the question"
    if explanation.unseen:
        yield f"  [yellow]words of the question that stand in no pair:[/] {escape(', '.join(explanation.unseen))}"


def _sentence(number: int, one: Sentence) -> Iterator[str]:
    held_out = "  [yellow]held out: the model did not learn from it[/]" if one.split == "validation" else ""
    yield (
        f"  {number}. [bold]{one.score:.2f}[/] {escape(one.drug)}, {escape(one.section_title)} "
        f"({one.section_code}), {escape(one.source)}{held_out}"
    )
    yield f"     label says: {_text(one.evidence)}"
    yield f"     asked there: {_text(one.question)}"
    shared = escape(", ".join(one.shared[:8]))
    yield f"     [dim]words in common: {shared}; section {one.section}, label {one.set_id}[/]"


def recall_lines(recalled: Recall) -> Iterator[str]:
    """A section, label or drug, and the way down from it."""
    resting = [section for section in recalled.sections if section.pairs]
    sections = (
        f", {_count(len(recalled.sections), 'section')}, {len(resting)} of them with pairs" if recalled.sections else ""
    )
    yield f"[bold]{escape(recalled.what)}[/] ({recalled.matched_as}{sections})"
    yield from (_section(section) for section in resting[:_MOST_SECTIONS])
    if len(resting) > _MOST_SECTIONS:
        yield f"  and {len(resting) - _MOST_SECTIONS} more (--output json lists them)"
    yield from _block("data that rest on it", [_data(data) for data in recalled.data])
    made = [f"  {one.kind:<12}{one.digest}{_withdrawn(one.quarantine)}" for one in recalled.made]
    yield from _block("made from these", made)
    verdicts = [f"  {_outcome(one.outcome)}  {one.name}  {one.artifact}" for one in recalled.verdicts]
    yield from _block("verdicts on them", verdicts)
    yield from _block("deployments of them", [_served(one) for one in recalled.deployments])
    answers, serving = _count(recalled.answers, "answer"), _count(len(recalled.serving), "deployment")
    verb = "serves" if len(recalled.serving) == 1 else "serve"
    if recalled.unread:
        yield f"[yellow]not known of {_count(len(recalled.unread), 'data set')} whose bytes are not here:[/]"
        yield from (f"  {digest}" for digest in recalled.unread)
    yield f"{answers} came from these models; {serving} of them now {verb}."


def stale_lines(stale: Stale) -> Iterator[str]:
    """What newer labels change, boxed warnings first, and the way down from it."""
    boxed = _count(len(stale.boxed_warnings), "boxed warning")
    changes = _count(len(stale.changes), "change")
    yield f"[bold]{_count(stale.labels, 'label')}[/] of these stand behind data; {changes}, among them {boxed}"
    for change in stale.changes[:_MOST_CHANGES]:
        yield from _change(change)
    if len(stale.changes) > _MOST_CHANGES:
        yield f"  and {len(stale.changes) - _MOST_CHANGES} more (--output json lists them)"
    yield from recall_lines(stale.recall)


def _change(change: Change) -> Iterator[str]:
    about = change.question or "its text, of which no single fact could be read"
    yield f"  [yellow]{change.kind}[/]  {escape(change.drug)}, {escape(change.title)} ({change.code}): {escape(about)}"
    if change.before:
        yield f"    was  {_text(change.before[:_MOST_CHARACTERS])}"
    if change.after:
        yield f"    is   {_text(change.after[:_MOST_CHARACTERS])}"


def _block(title: str, lines: Sequence[str]) -> Iterator[str]:
    yield f"[bold]{title}[/]"
    yield from lines or ("  none",)


def _section(section: Section) -> str:
    place = f"{section.drug}: {section.title} ({section.code}), {section.source}"
    return f"  {section.id}  {escape(place)}: {_count(section.pairs, 'pair')}"


def _data(data: Data) -> str:
    files = ", ".join(f"{path.removesuffix('.jsonl')} {count}" for path, count in data.by_file.items())
    pairs = f"{data.pairs} of {_count(data.of, 'pair')} ({files})"
    return f"  {data.kind:<12}{data.digest}  {pairs}{_withdrawn(data.quarantine)}"


def _served(one: Served) -> str:
    share = f"{one.traffic_percent}% of the traffic, {_count(one.answers, 'answer')}"
    return f"  {_outcome(one.state)}  {one.name} as {escape(one.model_name)}, {share}"


def withdrawn_lines(done: Withdrawal, serving: Sequence[Served]) -> Iterator[str]:
    """What a withdrawal did, and what is left to do."""
    yield f"{_count(len(done.withdrawn), 'artifact')} withdrawn: no run may use them, or build on them, any more."
    yield from (f"  {digest}" for digest in done.withdrawn)
    if done.stopped:
        yield f"{_count(len(done.stopped), 'deployment')} stopped, each after the requests that it was answering:"
        yield from (f"  {name}" for name in done.stopped)
    if serving:
        yield "[yellow]Still serving[/] (repeat with --stop-serving to remove them):"
        yield from (f"  {one.name}" for one in serving)


def verification_lines(verified: "Verification", *, keys: Path, own: bool) -> Iterator[str]:
    """Each check on a line, and the sum."""
    yield f"[bold]{verified.verdict}[/]" + (f"  {escape(verified.run)}" if verified.run else "")
    yield from (_check_line(check) for check in verified.checks)
    failed = sum(not check.ok for check in verified.checks)
    if own:
        advice = "give --keys for keys that reached you another way"
        yield f"[dim]keys: {escape(str(keys))}, the installation's own; {advice}[/]"
    if failed:
        yield f"[bold red]{_count(failed, 'check')} of {len(verified.checks)} FAILED[/]"
    else:
        yield f"[bold green]all {_count(len(verified.checks), 'check')} ok[/]: {verified.outcome}"


def _check_line(check: "Check") -> str:
    mark = "[green]ok    [/]" if check.ok else "[bold red]FAILED[/]"
    return f"{mark}  {check.subject}: {escape(check.name)}: {escape(check.said)}"


def _withdrawn(reason: str) -> str:
    return f"  [red]withdrawn: {escape(reason)}[/]" if reason else ""


def _outcome(name: str) -> str:
    colour = _GOOD.get(name)
    return f"[{colour}]{name}[/]" if colour else coloured(name)


def _text(value: str) -> str:
    """One line of somebody's text: control characters would write on the terminal."""
    return escape("".join(c if c.isprintable() else " " for c in value).strip())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
