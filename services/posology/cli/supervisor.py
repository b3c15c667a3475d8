"""Keeps the processes of an embedded installation running: `python -m posology.cli.supervisor DATA_DIR`.

A process that ends is started again, with a pause that doubles; SIGTERM stops them all, each with its drain.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path

from posology.cli import embedded
from posology.core import telemetry
from posology.core.files import write_atomically
from posology.core.rpc.auth import ensure_token

log = logging.getLogger("posology.supervisor")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
_QUIET_SECONDS = 60.0
"""A process that ran this long starts again without the pause of its earlier failures."""
_GRACE_SECONDS = 90.0


@dataclass
class Supervisor:
    """One installation's processes."""

    layout: embedded.Layout
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    crashes: dict[str, int] = field(default_factory=dict)

    async def run(self) -> None:
        """Supervise until told to stop; then stop what runs, gateway first, so that no request is cut."""
        keepers = [asyncio.create_task(self._keep(name)) for name in embedded.MODULES]
        await self.stopping.wait()
        for name in reversed(embedded.MODULES):
            await self._stop(name)
        await asyncio.gather(*keepers)

    async def _keep(self, name: str) -> None:
        pause = _FIRST_PAUSE
        while not self.stopping.is_set():
            started = asyncio.get_running_loop().time()
            process = await self._start(name)
            code = await process.wait()
            if self.stopping.is_set():
                return
            ran = asyncio.get_running_loop().time() - started
            pause = _FIRST_PAUSE if ran > _QUIET_SECONDS else min(pause * 2, _LONGEST_PAUSE)
            log.warning("%s ended with %s; started again in %.1f s", name, code, pause)
            self._note_crash(name, code)
            await self._rest(pause)

    def _note_crash(self, name: str, code: int) -> None:
        """For `posology up`, which waits: that a service does not come up, and why, is known in seconds."""
        self.crashes[name] = self.crashes.get(name, 0) + 1
        text = json.dumps({"times": self.crashes[name], "code": code})
        try:
            write_atomically(self.layout.crash_file(name), text)
        except OSError as error:
            log.warning("%s: %s", self.layout.crash_file(name), error)

    async def _start(self, name: str) -> asyncio.subprocess.Process:
        self.layout.ready_file(name).unlink(missing_ok=True)
        with self.layout.log_file(name).open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", embedded.MODULES[name], env=self.layout.environment_of(name),
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        self.processes[name] = process
        self.layout.write_endpoints({service: p.pid for service, p in self.processes.items()})
        return process

    async def _stop(self, name: str) -> None:
        process = self.processes.get(name)
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
        except TimeoutError:
            log.warning("%s did not drain in %.0f s and is killed", name, _GRACE_SECONDS)
            process.kill()

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return


async def supervise(data_dir: Path, environment: dict[str, str]) -> None:
    """Run an embedded installation in this process until SIGTERM or SIGINT."""
    telemetry.log_as_json("supervisor", level="INFO")
    make_private(data_dir)
    ensure_token(data_dir / "token")
    supervisor = Supervisor(embedded.lay_out(data_dir, environment=environment))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stopping.set)
    pid_file = data_dir / embedded.PID_FILE
    write_atomically(pid_file, str(os.getpid()), mode=0o600)
    try:
        await supervisor.run()
    finally:
        supervisor.layout.forget_endpoints()
        pid_file.unlink(missing_ok=True)


def make_private(data_dir: Path) -> None:
    """For this user only: the folder, the databases of earlier versions, and whatever our processes write."""
    os.umask(0o077)
    data_dir.chmod(0o700)
    for path in (data_dir / "db").glob("*.sqlite*"):
        path.chmod(0o600)


def main() -> None:
    """Entry point: the data directory; on standard input the environment for every process, as JSON.

    Not as an argument: settings hold secrets, and arguments are for every user of this machine to read.
    """
    asyncio.run(supervise(Path(sys.argv[1]), json.load(sys.stdin)))


if __name__ == "__main__":
    main()
