"""No other user of the machine reaches an engine: it listens on a socket file of its owner's, and on no port."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from support import vllm_protocol

from posology.engine import EngineConfig, EngineHost
from posology.engine.process import Engine

_CONNECT = (
    "import socket, sys\n"
    "s = socket.socket(socket.AF_UNIX)\n"
    "try:\n    s.connect(sys.argv[1])\nexcept PermissionError:\n    sys.exit(13)\n"
)


def stand_in(folder: Path) -> Path:
    program = folder / "python"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{vllm_protocol.__file__}" "$@"\n')
    program.chmod(0o700)
    return program


async def test_it_listens_on_a_socket_file_that_only_its_owner_reaches(tmp_path: Path) -> None:
    model = vllm_protocol.make_model(tmp_path / "model")
    host = EngineHost(python=str(stand_in(tmp_path)), cache_dir=tmp_path / "cache")
    async with Engine.start(model, EngineConfig(), host=host) as engine:
        socket = Path(engine.url.removeprefix("unix:"))
        assert stat.S_ISSOCK(os.stat(socket).st_mode)
        assert stat.S_IMODE(os.stat(socket.parent).st_mode) == 0o700
        processes = [psutil.Process(engine.pid), *psutil.Process(engine.pid).children(recursive=True)]
        ports = [c for one in processes for c in one.net_connections("inet") if c.status == psutil.CONN_LISTEN]
        assert ports == []
        if os.geteuid() == 0 and shutil.which("setpriv"):
            other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
            said = subprocess.run([*other, "/usr/bin/env", "python3", "-c", _CONNECT, str(socket)], check=False)
            assert said.returncode == 13
    with pytest.raises(FileNotFoundError):
        os.stat(socket)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="needs root to be another user")
def test_another_user_would_reach_a_port_of_loopback() -> None:
    """Why it is a socket file: what the test above shows is not owed to the machine."""
    listen = (
        "import socket; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); s.accept()"
    )
    server = subprocess.Popen([sys.executable, "-c", listen], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    port = server.stdout.readline().strip()
    other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/env", "python3"]
    call = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    said = subprocess.run([*other, "-c", call], check=False)
    server.kill()
    server.wait()
    assert said.returncode == 0
