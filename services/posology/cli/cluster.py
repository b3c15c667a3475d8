"""An installation on a cluster, brought to this machine's loopback by kubectl: the gRPC door without an ingress."""

import asyncio
import base64
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from posology.client.installation import ENDPOINTS, this_process
from posology.core.errors import FailedPrecondition, NotFound, Unavailable
from posology.core.files import write_atomically

SERVICES = ("orchestrator", "curation", "training", "evaluation", "serving", "gateway")
TOKEN = "cluster-token"
"""Beside the token of an embedded installation, which it must not replace."""
_HTTP = "http"
_AGAIN_SECONDS = 0.5
"""A forward ends with the pod that it leads to; the next one is opened after this pause."""
_READY_SECONDS = 60.0


@dataclass
class Forwarded:
    """A release whose services answer on loopback, each at the port that it first got."""

    namespace: str
    release: str
    context: str = ""
    """Of the kubeconfig; empty takes the current one."""
    kubeconfig: Path | None = None
    """None takes kubectl's own choice."""
    program: str = "kubectl"
    ports: dict[str, int] = field(default_factory=dict)
    certificates: list[str] = field(default_factory=list)
    """Files that were written for clients, below their folder."""

    @property
    def name(self) -> str:
        """What the names of its objects start with, as the chart makes them."""
        return self.release if "posology" in self.release else f"{self.release}-posology"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator["Forwarded"]:
        """All forwards are up within the block, and are opened again whenever one breaks."""
        targets = dict(self._targets())
        async with contextlib.AsyncExitStack() as stack:
            for name in targets:
                self.ports[name] = 0
            tasks = [asyncio.create_task(self._keep(name, *target)) for name, target in targets.items()]
            stack.callback(lambda: [task.cancel() for task in tasks])
            await self._until_all(tasks)
            yield self
        await asyncio.gather(*tasks, return_exceptions=True)

    async def token(self) -> str:
        """The token of the installation, where this user may read it; FailedPrecondition says what else to do."""
        words = ["get", "secret", f"{self.name}-token", "-o", "jsonpath={.data.token}"]
        code, out, complaint = await self._kubectl(*words)
        if code:
            raise FailedPrecondition(
                f"the token of {self.release} could not be read ({complaint.strip()}); "
                "set POSOLOGY_TOKEN to one that is yours"
            )
        return base64.b64decode(out).decode().strip()

    async def certificate(self) -> Mapping[str, bytes]:
        """ca.crt, tls.crt and tls.key to call with, where the release has TLS and this user may read them."""
        path = "{.spec.template.spec.volumes[?(@.name=='tls')].secret.secretName}"
        _, secret, _ = await self._kubectl("get", "deployment", f"{self.name}-orchestrator", "-o", f"jsonpath={path}")
        if not secret:
            return {}
        secret = secret.replace(f"{self.name}-tls-orchestrator", f"{self.name}-tls-worker")  # one that serves nothing
        code, out, _ = await self._kubectl("get", "secret", secret, "-o", "jsonpath={.data}")
        return {} if code else {name: base64.b64decode(text) for name, text in json.loads(out).items()}

    def write_certificate(self, folder: Path, certificate: Mapping[str, bytes]) -> None:
        """Let the clients of `folder` show it."""
        for name in ("ca.crt", "tls.crt", "tls.key"):
            if name in certificate:
                (folder / "tls").mkdir(parents=True, exist_ok=True, mode=0o700)
                self.certificates.append(f"tls/{name}")
                _write(folder / "tls" / name, certificate[name].decode())

    def write(self, folder: Path, token: str) -> None:
        """Tell the clients of `folder` where to call, and with which token."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if token:
            _write(folder / TOKEN, token + "\n")
        written = {**self.endpoints(), "writer": this_process(), **({"tokenFile": TOKEN} if token else {})}
        _write(folder / ENDPOINTS, json.dumps(written, indent=1))

    def forget(self, folder: Path) -> None:
        """Take back what was written: the ports are anybody's once they are not forwarded."""
        for name in (ENDPOINTS, TOKEN, *self.certificates):
            (folder / name).unlink(missing_ok=True)

    def endpoints(self) -> Mapping[str, object]:
        """What `posology up` would write: addresses by service, and the gateway's URL."""
        addresses = {name: f"127.0.0.1:{self.ports[name]}" for name in SERVICES}
        addresses["catalog"] = addresses["orchestrator"]
        return {"addresses": addresses, "gatewayUrl": f"http://127.0.0.1:{self.ports[_HTTP]}", "processes": {}}

    def _targets(self) -> Iterator[tuple[str, tuple[str, int]]]:
        for name in SERVICES:
            yield name, (f"svc/{self.name}-{name}", 7410)
        yield _HTTP, (f"svc/{self.name}", 80)

    async def _until_all(self, tasks: list["asyncio.Task[None]"]) -> None:
        try:
            async with asyncio.timeout(_READY_SECONDS):
                while not all(self.ports.values()):
                    for ended in (task for task in tasks if task.done()):
                        ended.result()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            late = ", ".join(name for name, port in self.ports.items() if not port)
            raise Unavailable(
                f"no pod of {late} took a connection in {_READY_SECONDS:.0f} s; see kubectl get pods"
            ) from None

    async def _keep(self, name: str, target: str, port: int) -> None:
        """Forward for ever; NotFound if there is no such service."""
        while True:
            complaint = await self._forward(name, target, port)
            if "NotFound" in complaint:
                raise NotFound(f"there is no {target} in namespace {self.namespace}; is the release another one?")
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _forward(self, name: str, target: str, port: int) -> str:
        """One `kubectl port-forward` from beginning to end; what it complained of."""
        local = self.ports[name] or ""
        words = ["port-forward", "--address", "127.0.0.1", target, f"{local}:{port}"]
        process = await self._start(*words, stderr=asyncio.subprocess.STDOUT)
        assert process.stdout
        last = b""
        try:
            async for last in process.stdout:
                if match := re.search(rb"127\.0\.0\.1:(\d+) ->", last):
                    self.ports[name] = int(match[1])
            return last.decode(errors="replace")
        finally:
            await _end(process)

    async def _kubectl(self, *words: str) -> tuple[int, str, str]:
        process = await self._start(*words)
        out, complaint = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), complaint.decode(errors="replace")

    async def _start(self, *words: str, stderr: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
        program = shutil.which(self.program)
        if program is None:
            raise FailedPrecondition("kubectl is not installed; it is what reaches the cluster")
        chosen = ["--context", self.context] if self.context else []
        chosen += ["--kubeconfig", str(self.kubeconfig)] if self.kubeconfig else []
        command = [program, *chosen, "-n", self.namespace, *words]
        return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=stderr)


def _write(path: Path, text: str) -> None:
    """Whole or not at all, and for this user only."""
    write_atomically(path, text, mode=0o600)


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    await process.wait()
