"""A published file -> items of a suite."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from posology.core.errors import InvalidInput, Violation
from posology.evaluation.benchmarks.files import Table, tables
from posology.evaluation.benchmarks.form import EqualOptions, Form, NoAnswer
from posology.evaluation.benchmarks.registry import form_of, unknown
from posology.evaluation.domain import SuiteKind
from posology.evaluation.questions import Item

MOST_DROPPED = 0.05
"""Share of a file's items that may have equal options; beyond it the file is not what it claims to be."""
FEWEST_CLUSTERS = 20
"""Below it bounds that are robust to clusters say nothing (Cameron & Miller, J. Human Resources 50, 2015)."""
_OWN = ({"choices"}, {"unsafe"}, {"id", "question"}, {"id", "prompt"})
"""Fields that say: these are lines of our own form, if perhaps wrong ones."""


@dataclass(frozen=True)
class Published:
    """Items in the file's order, what is wrong with the others, and how many had equal options and were left out."""

    items: tuple[Item, ...]
    wrong: tuple[Violation, ...] = ()
    dropped: int = 0


def read(content: bytes, kind: SuiteKind, *, name: str) -> Published | None:
    """The items of a published benchmark; None for JSON lines of our own form. InvalidInput for neither."""
    items: list[Item] = []
    wrong: list[Violation] = []
    dropped = rows = 0
    for table in tables(content, name):
        place = f"{name}: {table.name}" if table.name else name
        form = form_of(table.fields)
        if form is None:
            if (
                not table.name
                and any(own <= table.fields for own in _OWN)
                and content.lstrip(b"\xef\xbb\xbf \r\n\t")[:1] == b"{"
            ):
                return None
            raise InvalidInput.of([Violation(place, unknown(table.fields))])
        if form.kind is not kind:
            raise InvalidInput.of([Violation(place, f"is {form.name}; set the suite's kind to {form.kind}")])
        part = _items(table, form, place)
        items += part.items
        wrong += part.wrong
        dropped += part.dropped
        rows += len(table.records)
    if not rows:
        if content.startswith(b"PK"):
            raise InvalidInput(f"{name}: the zip's files hold no records")
        return None
    if dropped > MOST_DROPPED * rows:
        wrong.append(
            Violation(name, f"{dropped} of {rows} items have two equal options; at most {MOST_DROPPED:.0%} may")
        )
    return Published(tuple(_clustered(items)), tuple(wrong), dropped)


def _items(table: Table, form: Form, place: str) -> Published:
    items: list[Item] = []
    wrong = [Violation(f"{place}:{row}", "is no JSON object") for row in table.broken]
    dropped = hidden = 0
    try:
        one = form.reader([record for _, record in table.records])
    except ValueError as error:
        return Published((), (Violation(place, str(error)),))
    for position, (row, record) in enumerate(table.records, start=1):
        try:
            item = one(record, str(position))
        except EqualOptions:
            dropped += 1
        except NoAnswer:
            hidden += 1
        except ValueError as error:
            wrong.append(Violation(f"{place}:{row}", str(error)))
        else:
            items.append(replace(item, id=f"{table.name}-{item.id}") if table.name else item)
    if hidden:
        reason = (
            f"{hidden} of {len(table.records)} items have no right answer; take a split of {form.name} with its labels"
        )
        wrong.insert(0, Violation(place, reason))
    return Published(tuple(items), tuple(wrong), dropped)


def _clustered(items: Sequence[Item]) -> list[Item]:
    """With the data's clusters, where there are enough of them for a bound."""
    groups = Counter(item.cluster or item.id for item in items)
    return list(items) if len(groups) >= FEWEST_CLUSTERS else [replace(item, cluster="") for item in items]
