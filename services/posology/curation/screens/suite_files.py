"""The questions of a run's suites, whose files may be public benchmarks as they are published."""

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from posology.core.errors import InvalidInput
from posology.curation.screens.decontaminate import questions_of
from posology.curation.sources import Unreadable
from posology.curation.sources.encoding import decode
from posology.curation.sources.location import Limits, find, read
from posology.curation.sources.records import json_records

ENDINGS = (".jsonl", ".ndjson", ".json", ".csv")
_COLUMNS = ("question", "Question", "prompt", "harmful_medical_request")


def suite_questions(uri: str, limits: Limits) -> Iterator[str]:
    """Every question; InvalidInput names a file that gives none: nothing could be kept out of the training data."""
    for file in find(uri, ENDINGS, limits):
        try:
            document, _ = read(file, limits)
            body = decode(document.data).removeprefix("\ufeff")
            questions = list(_of_json(body) if body.lstrip()[:1] in ("{", "[") else _of_csv(body))
        except (Unreadable, csv.Error) as error:
            raise InvalidInput(f"{uri}: {file.name} {error}") from None
        if not questions:
            raise InvalidInput(f"{uri}: {file.name} holds no questions that could be kept out of the training data")
        yield from questions


def _of_json(body: str) -> Iterator[str]:
    for _, record in json_records(body):
        values = list(record.values())
        by_id = bool(values) and all(isinstance(value, dict) and "QUESTION" in value for value in values)
        for one in values if by_id else [record]:
            yield from questions_of([json.dumps(_plain(one))])


def _plain(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the question where the other forms have it: PubMedQA's QUESTION, ARC's question.stem."""
    question = record.get("QUESTION", record.get("question"))
    stem = question.get("stem") if isinstance(question, dict) else question
    return {**record, "question": stem} if isinstance(stem, str) else record


def _of_csv(body: str) -> Iterator[str]:
    """Of the column that holds questions; of the first one where there is no header, as in MMLU's files."""
    rows = [row for row in csv.reader(io.StringIO(body, newline=""), strict=True) if row]
    header = [column.strip() for column in rows[0]] if rows else []
    column = next((header.index(name) for name in _COLUMNS if name in header), None)
    if column is None and not (len(header) == 6 and header[-1] in ("A", "B", "C", "D")):
        return
    for row in rows if column is None else rows[1:]:
        yield from (text for text in row[column or 0 : (column or 0) + 1] if text.strip())
