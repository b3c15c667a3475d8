"""What an embedded installation leaves on the machine is its owner's alone, also where it lay open before."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

PRIVATE = """
import sys
from pathlib import Path
from posology.cli.supervisor import make_private
root = Path(sys.argv[1])
make_private(root)
(root / "artifacts").mkdir()
(root / "artifacts" / "weights.safetensors").write_text("x")
(root / "db" / "new.sqlite").write_text("x")
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_that_lay_open_is_closed_and_so_is_what_is_written_later(tmp_path: Path) -> None:
    root = tmp_path / "data"
    (root / "db").mkdir(parents=True)
    for name in ("evaluation.sqlite", "evaluation.sqlite-wal", "evaluation.sqlite-shm"):
        (root / "db" / name).write_text("x")
        (root / "db" / name).chmod(0o644)
    root.chmod(0o755)
    subprocess.run([sys.executable, "-c", PRIVATE, str(root)], check=True)
    assert mode(root) == 0o700
    for file in [*(root / "db").iterdir(), root / "artifacts" / "weights.safetensors"]:
        assert mode(file) == 0o600, file


def test_secrets_reach_the_supervisor_by_a_pipe_and_stand_in_no_argument(tmp_path: Path) -> None:
    """It is stopped before it starts anything: the folder is a file."""
    (tmp_path / "data").write_text("")
    process = subprocess.Popen(
        [sys.executable, "-m", "posology.cli.supervisor", str(tmp_path / "data")],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ},
    )  # fmt: skip
    assert process.stdin is not None
    words = Path(f"/proc/{process.pid}/cmdline").read_bytes()
    _, said = process.communicate(json.dumps({"POSOLOGY_TEACHER_KEY": "sk-hidden"}).encode(), timeout=60)
    assert b"sk-hidden" not in words + said
