"""What the agent says of itself: in memory for `/status`, and in `status.json` for whoever finds it dead."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from posology.core.files import write_atomically
from posology.serving.domain import ReplicaState, Status

log = logging.getLogger("posology.agent")
STATUS_FILE = "status.json"


class Report:
    """The present status; each change is written whole or not at all."""

    def __init__(self, directory: Path, last_word: Path | None = None) -> None:
        self._file = directory / STATUS_FILE
        self._last_word = last_word
        self.status = Status(ReplicaState.FETCHING)

    def say(self, state: ReplicaState, reason: str = "", *, url: str | None = None, final: bool = False) -> None:
        """Change state; `final` marks a failure that starting again can't mend."""
        url = self.status.url if url is None else url
        self.status = Status(state, reason, url, final=final)
        log.info("state", extra={"state": str(state), "reason": reason})
        write_atomically(self._file, json.dumps({**to_json(self.status), "pid": os.getpid()}))

    def leave(self) -> None:
        """Leave the last status where a kubelet looks for it; it reads 4096 bytes."""
        if self._last_word is not None:
            self._last_word.write_text(json.dumps({**to_json(self.status), "reason": self.status.reason[:3000]}))


def to_json(status: Status) -> dict[str, Any]:
    return {**vars(status), "state": str(status.state)}


def from_json(value: dict[str, Any]) -> Status:
    fields = {name: value[name] for name in ("reason", "url", "running", "final")}
    return Status(ReplicaState(value["state"]), **fields)


def read(directory: Path) -> tuple[Status, int] | None:
    """The last status and process id that an agent left in `directory`; None when there is none."""
    try:
        status = json.loads((directory / STATUS_FILE).read_text())
    except FileNotFoundError:
        return None
    return from_json(status), int(status["pid"])
