"""A scorer that is killed with SIGKILL goes on at the item where it was, and a whole MMLU needs no more memory."""

import json
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from posology.evaluation.worker.journal import Journal

SCORER = Path(__file__).parents[2] / "support/scorer.py"
IN_FLIGHT = 16
"""Items that a scorer may have asked for and not kept: twice its requests in flight."""
MMLU = 14_042
MIB = 1 << 20


def start(folder: Path, *, count: int, seconds: float = 0.0) -> subprocess.Popen[str]:
    words = [sys.executable, str(SCORER), str(folder), str(count), str(seconds)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True)


def finish(scorer: subprocess.Popen[str]) -> tuple[int, dict[str, Any]]:
    """Requests that it made, and what it printed last."""
    lines = (scorer.communicate()[0]).splitlines()
    assert scorer.returncode == 0
    return lines.count("request"), json.loads(lines[-1])


def test_a_scorer_that_is_killed_twice_asks_for_nothing_twice_that_it_kept(tmp_path: Path) -> None:
    _, whole = finish(start(tmp_path / "whole", count=300))
    asked = 0
    for stop_after in (60, 90):
        scorer = start(tmp_path / "killed", count=300, seconds=0.01)
        assert scorer.stdout
        for _ in range(stop_after):
            asked += scorer.stdout.readline() == "request\n"
        scorer.kill()
        asked += scorer.stdout.read().count("request\n")
        scorer.wait()
    rest, resumed = finish(start(tmp_path / "killed", count=300))
    assert resumed["digest"] == whole["digest"]
    assert 0 < rest <= 300 - asked + 2 * IN_FLIGHT
    again, _ = finish(start(tmp_path / "killed", count=300))
    assert again == 0


def test_a_whole_mmlu_is_scored_in_the_memory_of_a_tenth_of_it(tmp_path: Path) -> None:
    _, tenth = finish(start(tmp_path / "tenth", count=MMLU // 10))
    requests, whole = finish(start(tmp_path / "whole", count=MMLU))
    assert (requests, whole["items"]) == (MMLU, MMLU)
    assert whole["growth"] - tenth["growth"] < 12 * MIB


@pytest.mark.parametrize("damage", [b"", b"0000", b"00000000 [", b'00000000 ["q9", 1]\n', b"\0" * 64, b"\xff\xfe\n"])
def test_what_a_crash_left_torn_is_cut_off_and_asked_again(damage: bytes, tmp_path: Path) -> None:
    journal = Journal(tmp_path, {"weights": "w"})
    for i in range(5):
        journal.append(f"q{i}", {"scores": [i, None], "text": "é\u2028\n"})
    journal.close()
    with journal.path.open("ab") as stored:
        stored.write(damage)
    again = Journal(tmp_path, {"weights": "w"})
    assert [again.read(f"q{i}")["scores"][0] for i in range(5)] == [0, 1, 2, 3, 4]
    assert "q9" not in again
    again.append("q9", 9)
    again.close()
    assert Journal(tmp_path, {"weights": "w"}).read("q9") == 9


def test_a_damaged_line_is_not_believed_nor_what_stands_behind_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {})
    for i in range(4):
        journal.append(f"q{i}", i)
    journal.close()
    content = bytearray(journal.path.read_bytes())
    content[content.index(b'"q2"') + 5] ^= 1
    journal.path.write_bytes(content)
    again = Journal(tmp_path, {})
    assert [f"q{i}" in again for i in range(4)] == [True, True, False, False]


@pytest.mark.parametrize("change", [{"weights": "v"}, {"suite": "t"}, {"maxTokens": 65}, {"engine": {"dtype": "x"}}])
def test_other_weights_items_or_settings_begin_anew(change: dict[str, Any], tmp_path: Path) -> None:
    key = {"weights": "w", "suite": "s", "maxTokens": 64, "engine": {"dtype": "y"}}
    journal = Journal(tmp_path, key)
    journal.append("q", 1)
    assert "q" in Journal(tmp_path, dict(reversed(key.items())))
    assert "q" not in Journal(tmp_path, key | change)


def test_each_line_carries_a_checksum_of_its_own(tmp_path: Path) -> None:
    journal = Journal(tmp_path, {})
    journal.append("q", [1])
    checksum, _, content = journal.path.read_bytes().rstrip(b"\n").partition(b" ")
    assert int(checksum, 16) == zlib.crc32(content)
