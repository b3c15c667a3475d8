"""Questions of public benchmarks are known to curation in the files that evaluation reads."""

import json
from pathlib import Path

import pytest

from posology.core.errors import InvalidInput
from posology.curation.screens.suite_files import suite_questions
from posology.curation.sources.location import Limits

FILES = {
    "mcq/mmlu_test_57_subjects.zip": 14080,
    "mcq/mmlu_medical_genetics_test.csv": 100,
    "mcq/medmcqa_dev.jsonl": 4082,
    "eval_general/TruthfulQA.csv": 790,
    "eval_general/hellaswag_subset_from_pro.jsonl": 800,
    "safety/xstest_prompts.csv": 450,
    "safety/medsafetybench_test_gpt4_1.csv": 50,
}


@pytest.mark.parametrize("file", FILES)
def test_every_question_of_a_published_file_is_kept_out(shared_data: Path, file: str) -> None:
    path = (shared_data / file).resolve()
    assert len(list(suite_questions(path.as_uri(), Limits(folders=(path.parent,))))) == FILES[file]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", json.dumps({"1": {"QUESTION": "Does it?", "CONTEXTS": []}})),
        ("a.json", json.dumps({"1": {"QUESTION": "Does it?", "CONTEXTS": []}}, indent=1)),
        ("a.jsonl", json.dumps({"question": {"stem": "Does it?", "choices": []}})),
        ("a.csv", "\ufeffDoes it?,a,b,c,d,A\r\n"),
    ],
)
def test_each_form_gives_its_question(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_bytes(content.encode())
    assert list(suite_questions((tmp_path / name).as_uri(), Limits(folders=(tmp_path,)))) == ["Does it?"]


def test_a_suite_without_questions_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("colour,size\nred,2\n")
    with pytest.raises(InvalidInput, match="holds no questions"):
        list(suite_questions((tmp_path / "a.csv").as_uri(), Limits(folders=(tmp_path,))))
