"""A parquet file -> JSON lines, in a process of its own: what reads it is native code, and the file anybody's.

`python -m posology.evaluation.benchmarks.parquet` reads standard input and writes standard output.
"""

import contextlib
import io
import json
import resource
import subprocess
import sys
from typing import Any

from posology.core.errors import InvalidInput

MAGIC = b"PAR1"
MOST_BYTES = 100_000_000
"""Of the lines that a file unpacks to."""
_MEMORY, _SECONDS, _ROWS = 2 << 30, 60, 256
_TOO_MUCH = 3


def as_lines(content: bytes, name: str) -> bytes:
    """The rows as JSON lines; InvalidInput for a file that is damaged, or unpacks to too much."""
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise InvalidInput(f"{name}: the parquet file is not read within {_SECONDS} s") from None
    if done.returncode == _TOO_MUCH:
        raise InvalidInput(f"{name}: the parquet file unpacks to more than {MOST_BYTES:,} bytes")
    if done.returncode:
        raise InvalidInput(f"{name}: is no whole parquet file; download it again, or save it as JSON lines")
    return done.stdout


def main() -> int:
    """Within bounds of memory and time; any end but a clean one is a non-zero exit."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    written = 0
    for line in _lines(sys.stdin.buffer.read()):
        written += len(line)
        if written > MOST_BYTES:
            return _TOO_MUCH
        sys.stdout.buffer.write(line)
    return 0


def _lines(content: bytes) -> Any:
    from arro3.io import read_parquet

    for batch in read_parquet(io.BytesIO(content), batch_size=_ROWS):
        names = batch.schema.names
        columns = [batch.column(index).to_pylist() for index in range(batch.num_columns)]
        for row in zip(*columns, strict=True):
            yield json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=True, default=str).encode() + b"\n"


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
