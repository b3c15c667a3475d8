"""Readers of sources under bytes that a fuzzer makes; tests/fuzz/corpus keeps what once broke one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="atheris has no wheel for this platform")
FUZZ = Path(__file__).resolve().parents[2] / "fuzz"
FORMATS = ("SPL", "OPENFDA", "JSONL")


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_reader_takes_any_bytes_or_says_that_they_are_unreadable(format_name: str, tmp_path: Path) -> None:
    fuzz(format_name, tmp_path, seconds=6)


@pytest.mark.qualify
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("format_name", FORMATS)
def test_a_reader_takes_any_bytes_for_ten_minutes(format_name: str, tmp_path: Path) -> None:
    fuzz(format_name, tmp_path, seconds=600)


def fuzz(format_name: str, folder: Path, *, seconds: int) -> None:
    """The kept corpus first, then what the fuzzer makes of it; an input may take 20 s and 3 GB."""
    limits = (f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=3072", "-max_len=8192", "-seed=1")
    done = subprocess.run(
        [
            sys.executable,
            str(FUZZ / "sources.py"),
            format_name,
            str(folder),
            str(FUZZ / "corpus" / format_name),
            *limits,
        ],
        env=os.environ | {"PYTHONPATH": str(FUZZ.parent)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    broken = sorted(folder.glob("crash-*")) + sorted(folder.glob("timeout-*")) + sorted(folder.glob("oom-*"))
    assert done.returncode == 0, f"{[path.read_bytes() for path in broken]}\n{done.stderr[-3000:]}"
    assert "Done " in done.stderr, "the fuzzer made no input"
