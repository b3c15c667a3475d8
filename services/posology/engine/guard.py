"""Runs one command and ends its whole process group when the parent goes away, even by kill -9.

`python guard.py COMMAND...`, stdin a pipe that only the parent holds: its end of file is the parent's death.
Run by path, with the standard library only, so that it starts in milliseconds. SIGTERM is passed on.
"""

import os
import signal
import subprocess
import sys
import threading


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


def main(words: list[str]) -> int:
    """The command's exit status; the group is gone when it returns."""
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
