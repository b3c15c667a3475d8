"""Public benchmarks become suites in the very files that people download, and no such file breaks a service."""

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from posology.core.errors import InvalidInput
from posology.evaluation import benchmarks, suites
from posology.evaluation.domain import SuiteKind
from posology.evaluation.suites import Prompt, Question

CHOICE, REFUSAL = SuiteKind.MULTIPLE_CHOICE, SuiteKind.REFUSAL

# file -> (items that have equal options, words of the first item, its right choice or whether it is to be refused)
PUBLISHED: Mapping[str, tuple[int, str, str | bool]] = {
    "mcq/medmcqa_dev.jsonl": (21, "myelinated nerve fibers", "Impulse through myelinated fibers is slower"),
    "mcq/mmlu_clinical_knowledge_test.csv": (0, "What size of cannula", "18 gauge."),
    "mcq/mmlu_college_medicine_test.csv": (0, "police officer carries out", "Psychoanalytic"),
    "mcq/mmlu_medical_genetics_test.csv": (0, "Robertsonian translocation", "centromeres."),
    "mcq/mmlu_professional_medicine_test.csv": (0, "67-year-old woman", "Compression of the lateral femoral"),
    "mcq/mmlu_test_57_subjects.zip": (9, "degree for the given field extension", "4"),
    "eval_general/TruthfulQA.csv": (0, "eat watermelon seeds", "The watermelon seeds pass through"),
    "eval_general/hellaswag_subset_from_pro.jsonl": (0, "holding a violin", "continues playing the instrument"),
    "safety/anthropic_corrigible-neutral-HHH.jsonl": (0, "character limit", "I consent"),
    "safety/anthropic_willingness-to-defer-to-experts.jsonl": (0, "Experts, who have devoted", "Yes"),
    "safety/xstest_prompts.csv": (0, "kill a Python process", False),
    "safety/xstest_completions_gpt4_gpteval.csv": (0, "kill a Python process", False),
    "safety/xstest_completions_llama2orig_gpteval.csv": (0, "kill a Python process", False),
    "safety/medsafetybench_test_gpt4_1.csv": (0, "off-label use of a cancer drug", True),
    "safety/medsafetybench_test_gpt4_2.csv": (0, "artificially alter lab test", True),
    "safety/medsafetybench_test_gpt4_3.csv": (0, "counterfeit a vaccine", True),
    "safety/medsafetybench_test_gpt4_4.csv": (0, "efficacy of Lithium", True),
    "safety/medsafetybench_test_gpt4_5.csv": (0, "Spread rumors", True),
    "safety/medsafetybench_test_gpt4_6.csv": (0, "invasively monitors physician", True),
}


gzipped = partial(gzip.compress, mtime=0)  # without the hour, so that tests have the same names in every process


def parse(content: str | bytes, kind: SuiteKind = CHOICE) -> tuple[suites.Item, ...]:
    return suites.parse(content.encode() if isinstance(content, str) else content, kind, name="s")


def lines(*records: object) -> str:
    return "\n".join(json.dumps(record) for record in records)


def published(file: str) -> bytes:
    """A file of rows in the form of a hub's, written by pyarrow."""
    return (Path(__file__).resolve().parents[2] / "support" / "published" / file).read_bytes()


def packed(**members: str | bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, body in members.items():
            archive.writestr(member.replace("__", "."), body)
    return buffer.getvalue()


def records_of(path: Path) -> int:
    """The file's own count, by the standard library alone."""
    if path.suffix == ".jsonl":
        return path.read_bytes().count(b"\n")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return sum(
                len(list(csv.reader(io.StringIO(archive.read(m).decode(), newline="")))) for m in archive.namelist()
            )
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return len(list(csv.reader(stream))) - (0 if path.name.startswith("mmlu") else 1)


@pytest.mark.parametrize("file", PUBLISHED)
def test_every_published_file_is_read_whole(shared_data: Path, file: str) -> None:
    dropped, words, right = PUBLISHED[file]
    content = (shared_data / file).read_bytes()
    published = benchmarks.read(content, REFUSAL if isinstance(right, bool) else CHOICE, name=file)
    assert published is not None
    assert published.wrong == ()
    assert published.dropped == dropped
    assert len(published.items) + dropped == records_of(shared_data / file)
    first = published.items[0]
    if isinstance(first, Question):
        assert words in first.question
        assert isinstance(right, str)
        assert first.choices[first.answer].startswith(right)
    else:
        assert words in first.prompt
        assert first.unsafe is right


def test_no_published_file_is_forgotten(shared_data: Path) -> None:
    folders = ("mcq", "eval_general", "safety")
    assert {f"{folder}/{path.name}" for folder in folders for path in (shared_data / folder).iterdir()} == set(
        PUBLISHED
    )


def test_the_sides_of_xstest_are_those_of_its_authors(shared_data: Path) -> None:
    prompts, completions = (
        parse((shared_data / "safety" / file).read_bytes(), REFUSAL)
        for file in ("xstest_prompts.csv", "xstest_completions_gpt4_gpteval.csv")
    )
    unsafe = [{i.prompt for i in items if isinstance(i, Prompt) and i.unsafe} for items in (prompts, completions)]
    assert len(unsafe[0]) == 200
    assert len(unsafe[0] & unsafe[1]) >= 190  # the prompts were revised a little between the two files


def test_medsafetybench_alone_is_refused_and_read_beside_xstest() -> None:
    harmful = ",harmful_medical_request,safe_response\n0,Forge a script,I cannot\n"
    with pytest.raises(InvalidInput, match="one zip with another"):
        parse(harmful, REFUSAL)
    both = packed(med__csv=harmful, xs__csv="id,prompt,type,label,focus,note\n1,Kill a process?,homonyms,safe,kill,\n")
    assert [(i.id, i.unsafe) for i in parse(both, REFUSAL) if isinstance(i, Prompt)] == [
        ("med-1", True),
        ("xs-1", False),
    ]


MMLU = "Which?,a,b,c,d,C\n"
MEDQA = {"question": "Which?", "options": {"A": "a", "B": "b", "C": "c", "D": "d"}, "answer": "c", "answer_idx": "C"}
PUBMEDQA = {"QUESTION": "Does it?", "CONTEXTS": ["One.", "Two."], "LABELS": [], "final_decision": "maybe"}
MEDMCQA = {"id": "m", "question": "Which?", "opa": "a", "opb": "b", "opc": "c", "opd": "d", "cop": 4}
ARC = {"id": "a", "question": {"stem": "Which?", "choices": [{"text": t, "label": t.upper()} for t in "abc"]}}


@pytest.mark.parametrize(
    ("content", "right"),
    [
        (MMLU, "c"),
        ("\ufeff" + MMLU.replace("\n", "\r\n"), "c"),
        ("question,A,B,C,D,answer\n" + MMLU, "c"),
        ('"One, ""two""\nand\u2028three?",a,b,c,d,A\n', "a"),
        (packed(anatomy_test__csv=MMLU, README__txt="not data"), "c"),
        (lines({"question": "Which?", "subject": "anatomy", "choices": ["a", "b", "c", "d"], "answer": 1}), "b"),
        (lines({"ind": 3, "ctx": "He", "endings": ["a", "b", "c", "d"], "label": "2"}), "c"),
        ("Question,Best Answer,Incorrect Answers\nWhich?,a,b; c; d\n", "a"),
        (json.dumps([{"question": "Which?", "mc1_targets": {"a": 1, "b": 0}, "mc2_targets": {}}], indent=1), "a"),
        (lines({"question": "Which?", "mc1_targets": {"choices": ["a", "b"], "labels": [1, 0]}}), "a"),
        (gzipped(MMLU.encode()), "c"),
        (gzipped(b"") + gzipped(MMLU.encode()), "c"),
        (packed(a_test__csv__gz=gzipped(MMLU.encode())), "c"),
        (published("mmlu-hub.parquet"), "b"),
        (gzipped(published("mmlu-hub.parquet")), "b"),
        (packed(test__parquet=published("mmlu-hub.parquet")), "b"),
        (published("pubmedqa-hub.parquet"), "no"),
        (published("truthfulqa-hub.parquet"), "a"),
        (published("hellaswag-hub.parquet"), "c"),
        (published("own.parquet"), "b"),
        (lines(MEDMCQA), "d"),
        (lines(MEDMCQA | {"cop": 0}), "a"),
        (lines(MEDQA), "c"),
        (lines({k: v for k, v in MEDQA.items() if k != "answer_idx"}), "c"),
        (lines(MEDQA | {"options": [{"key": k, "value": k.lower()} for k in "ABCDE"]}), "c"),
        (json.dumps({"123": PUBMEDQA}), "maybe"),
        (json.dumps({"123": PUBMEDQA, "4": PUBMEDQA}, indent=2), "maybe"),
        (lines({"pubid": 1, "question": "Q?", "context": {"contexts": ["One."]}, "final_decision": "no"}), "no"),
        (lines(ARC | {"answerKey": "B"}), "b"),
        (
            lines(
                {"id": "a", "question": "W?", "choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "2"}
            ),
            "y",
        ),
    ],
)
def test_each_form_gives_the_right_choice(content: str | bytes, right: str) -> None:
    first = parse(content)[0]
    assert isinstance(first, Question)
    assert first.choices[first.answer] == right


def test_pubmedqa_keeps_its_ids_and_its_abstract() -> None:
    [item] = parse(json.dumps({"123": PUBMEDQA}))
    assert isinstance(item, Question)
    assert (item.id, item.context) == ("123", "One.\nTwo.")


@pytest.mark.parametrize(
    "content",
    [
        lines({"ind": 3, "ctx": "He", "endings": ["a", "b", "c", "d"]}),
        lines({"ctx": "He", "endings": ["a", "b"], "label": ""}),
        lines({k: v for k, v in MEDMCQA.items() if k != "cop"}),
        lines(MEDMCQA | {"cop": -1}, MEDMCQA | {"id": "n", "cop": -1}),
        lines(MEDQA | {"answer": "", "answer_idx": None}),
        json.dumps({"123": {k: v for k, v in PUBMEDQA.items() if k != "final_decision"}}),
        lines(ARC | {"answerKey": ""}),
    ],
)
def test_a_split_whose_answers_are_kept_back_is_refused_by_name(content: str) -> None:
    with pytest.raises(InvalidInput, match="no right answer; take a split"):
        parse(content)


def test_items_with_equal_options_are_left_out_up_to_a_share() -> None:
    equal = "Which?,a, a.,c,d,C\n"
    published = benchmarks.read((equal + MMLU * 39).encode(), CHOICE, name="s")
    assert published is not None
    assert (len(published.items), published.dropped) == (39, 1)
    with pytest.raises(InvalidInput, match="1 of 2 items have two equal options"):
        parse(equal + MMLU)
    assert len(parse("Genotype?,Bb,bb,BB,none,A\n")) == 1


def test_a_file_of_no_known_form_is_told_its_fields_and_the_forms() -> None:
    for content in ("colour,size\nred,2\n", lines({"colour": "red", "size": 2}), packed(a__csv="colour,size\nred,2\n")):
        with pytest.raises(InvalidInput, match=r"colour, size.*mmlu.*medqa.*xstest"):
            parse(content)


def test_medmcqa_that_does_not_tell_how_it_counts_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be told"):
        parse(lines(MEDMCQA | {"cop": 2}))
    with pytest.raises(InvalidInput, match="cannot be told"):
        parse(lines(MEDMCQA, MEDMCQA | {"id": "n", "cop": 0}))


def test_the_wrong_kind_is_refused_with_the_right_one() -> None:
    with pytest.raises(InvalidInput, match="kind to MULTIPLE_CHOICE"):
        parse(MMLU, REFUSAL)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"PAR1....PAR1", "no whole parquet"),
        (b"PAR1", "no whole parquet"),
        (published("mmlu-hub.parquet")[:-30] + b"PAR1", "no whole parquet"),
        (b"PAR1" + b"\xff" * 400 + b"PAR1", "no whole parquet"),
        (published("bomb.parquet"), "unpacks to more than"),
        (packed(a__parquet=b"PAR1....PAR1"), "no whole parquet"),
        (b"\x1f\x8b\x08", "no whole gzip"),
        (gzipped(MMLU.encode())[:-4], "no whole gzip"),
        (gzipped(b"x" * 110_000_000), "unpacks to more"),
        (gzipped(gzipped(MMLU.encode())), "UTF-8"),
        (b"PK\x03\x04 no zip", "no whole zip"),
        (packed(note__txt="x"), "holds 0 files"),
        (packed(a__csv="\n"), "no records"),
        (packed(a_dev__csv=MMLU, a_test__csv=MMLU), "mixes the splits dev, test"),
        (packed(a__csv="x" * 110_000_000), "unpacks to more"),
        (b"Which?,\xff,b,c,d,C\n", "UTF-8"),
        ('"Which?,a,b,c,d,C\n', "no CSV"),
        (MMLU + "Which?,a,b\n", "3 columns"),
        ("Which?,a,b,c,d,E\n", "no form"),
        (MMLU + "Which?,a,b,c,d,E\n", "answer must be one of"),
        (MMLU + "Which?,a,b,,d,A\n", "an option must be a text"),
        ("q" * 200_000 + ",a,b,c,d,A\n", "no CSV"),
        (lines(MEDMCQA, MEDMCQA), "more than once"),
        (lines(MEDMCQA, MEDMCQA | {"id": "n", "cop": 10**400}), "small whole number"),
        (lines(MEDMCQA) + '\n{"cop": ' + "9" * 5000 + "}", "no JSON object"),
        (lines(MEDMCQA) + "\n" + "[" * 200_000, "no JSON object"),
        (lines(MEDMCQA | {"question": "\ud800"}), "surrogate"),
        (lines({"question": "Q\ud800", "mc1_targets": {"a": 1, "b": 0}}), "surrogate"),
        (lines({"\ud800": 1}), "no form"),
        (lines(MEDQA | {"options": 7}), "options must give"),
        (lines(MEDQA | {"answer_idx": "Z"}), "one of"),
        (lines({"ctx": "He", "endings": [{}, 1], "label": 0}), "list of texts"),
        (lines({"ctx": "He", "endings": ["a", "b"], "label": 9}), "option 10 of 2"),
        ("[" * 100_000, "no JSON|nested"),
        ('{"id":' * 100_000, "no JSON|nested"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_hostile_files_are_refused_with_a_reason(content: str | bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason) as caught:
        parse(content)
    caught.value.message.encode()


def test_own_lines_may_hold_what_looks_like_a_line_end() -> None:
    own = {"id": "1", "question": "One\u2028two?", "choices": ["a", "b"], "answer": 1}
    assert len(parse(json.dumps(own, ensure_ascii=False) + "\r\n")) == 1
    with pytest.raises(InvalidInput, match="surrogate"):
        parse(lines(own | {"question": "\udfff"}))
    with pytest.raises(InvalidInput, match="must differ"):
        parse(lines(own | {"choices": ["a", " a."]}))
