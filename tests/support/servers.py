"""Real servers for tests, as throw-away processes: PostgreSQL by initdb, S3 by versitygw."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session
import psycopg
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Postgres:
    """A running server; `url()` makes a new empty database each time."""

    binaries: Path
    folder: Path
    user: str | None

    def url(self) -> str:
        """The URL of a database that nobody has used yet."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(f"host={self.folder} user=posology dbname=postgres", autocommit=True) as connection:
            connection.execute(f"create database {name}".encode())
        return f"postgresql+psycopg://posology@/{name}?host={self.folder}"

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        # Durability is not what tests look at: without fsync they are several times faster.
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder}"
        options += " -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "start", "-w", "-D", self._data, "-l", str(self.folder / "log"), "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it; `immediate` is a crash."""
        self._run("pg_ctl", "stop", "-w", "-D", self._data, "-m", mode)

    def create(self) -> None:
        """Make the data folder."""
        self._run(
            "initdb",
            "-D",
            self._data,
            "-U",
            "posology",
            "-A",
            "trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C",
        )

    @property
    def _data(self) -> str:
        return str(self.folder / "data")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.binaries / program), *arguments]
        done = subprocess.run(
            command,
            user=self.user,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr.decode()}")


@contextmanager
def postgres_server() -> Iterator[Postgres]:
    """PostgreSQL in a temporary folder, about 2 s; skips where its programs are missing."""
    binaries = _postgres_binaries()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))  # short: a socket path holds 107 characters
    server = Postgres(binaries, folder, _ordinary_user())
    if server.user:
        shutil.chown(folder, server.user)
    folder.chmod(0o711)
    try:
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_binaries() -> Path:
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = [folder for folder in folders if (folder / "initdb").exists()]
    if not found:
        pytest.skip("no PostgreSQL: neither initdb on PATH nor in /usr/lib/postgresql (apt install postgresql)")
    return found[0]


def _ordinary_user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@dataclass(frozen=True)
class S3:
    """A running S3 server over `folder`: each bucket is a folder in it."""

    endpoint: str
    folder: Path
    program: str = "versitygw"
    key: str = "tester"
    secret: str = "tester-secret"

    @property
    def options(self) -> dict[str, object]:
        """Storage options for fsspec."""
        return {"key": self.key, "secret": self.secret, "endpoint_url": self.endpoint}

    def client(self, service: str, *, endpoint: str = "") -> Any:
        """A plain client of this server, or of another one that knows the same user."""
        return botocore.session.get_session().create_client(
            service,
            endpoint_url=endpoint or self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
        )

    def bucket(self) -> str:
        """A new bucket's URL."""
        name = f"b{uuid.uuid4().hex}"
        (self.folder / name).mkdir()
        return f"s3://{name}"

    def user(self, name: str) -> dict[str, object]:
        """Storage options of a new user who may do nothing yet."""
        admin = [self.program, "admin", "-a", self.key, "-s", self.secret, "--endpoint-url", self.endpoint]
        create = ["create-user", "-a", name, "-s", f"{name}-secret", "-r", "user"]
        subprocess.run([*admin, *create], check=True, capture_output=True)
        return {**self.options, "key": name, "secret": f"{name}-secret"}


@contextmanager
def s3_server(folder: Path, *, host: str = "127.0.0.1") -> Iterator[S3]:
    """versitygw over a folder, on an address of this machine; skips where the program is missing."""
    program = _s3_program()
    port = _free_port()
    server = S3(f"http://{host}:{port}", folder / "buckets", program)
    server.folder.mkdir()
    (folder / "users").mkdir()
    environment = {**os.environ, "ROOT_ACCESS_KEY": server.key, "ROOT_SECRET_KEY": server.secret}
    command = [program, "--port", f"{host}:{port}", "--quiet", "--iam-dir", str(folder / "users")]
    command += ["posix", str(server.folder)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(host, port, process)
        yield server
    finally:
        process.terminate()
        process.wait(10)


def _s3_program() -> str:
    named = os.environ.get("POSOLOGY_TEST_S3_SERVER") or shutil.which("versitygw")
    if named:
        return named
    archive = sorted((REPOSITORY.parent / "shared" / "tools").glob("programs.tar.xz.*"))
    if not archive:
        pytest.skip("no S3 server: versitygw is not on PATH, POSOLOGY_TEST_S3_SERVER is not set, no shared tools")
    return str(_unpack("versitygw", archive))


def _unpack(program: str, archive: list[Path]) -> Path:
    """Take one program out of the shared tools; kept in build/ for the next run."""
    target = REPOSITORY / "build" / "tools" / program
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        command = f"cat {' '.join(map(str, archive))} | tar -xJf - -C {scratch} {program}"
        subprocess.run(["bash", "-o", "pipefail", "-c", command], check=True)
        (Path(scratch) / program).replace(target)
    return target


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(host: str, port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the S3 server ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the S3 server did not listen within 20 s")
