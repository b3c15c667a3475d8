"""Serving, gateway and catalog of a release on a cluster, with stores in S3 that tests fill as an evaluation would."""

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import s3fs
from charts.generate import static
from cluster.serving.images import Images
from cluster.volumes import recycle
from service.serving.asking import Client
from service.serving.serving_world import Installation, Service
from support.certificates import Authority, settings_of
from support.cluster_nodes import Nodes
from support.clusters import NAMESPACES, define_runs
from support.servers import REPOSITORY, S3

from posology.cli.cluster import SERVICES, Forwarded
from posology.core import errors
from posology.core.artifacts import ArtifactStore
from posology.core.kube import Kube, Resource
from posology.core.rpc import client
from posology.core.rpc.tls import Files
from posology.core.settings import ServiceSettings
from posology.core.signing import Signer
from posology.v1alpha1 import gateway_pb2
from posology.v1alpha1 import serving_pb2 as pb
from posology.v1alpha1.gateway_pb2_grpc import GatewayStub
from posology.v1alpha1.serving_pb2_grpc import ServingStub

Object = dict[str, Any]
DEV = REPOSITORY / "charts" / "posology" / "values-dev.yaml"
DEPLOYMENTS, PODS = Resource("apps/v1", "deployments"), Resource("v1", "pods")
SECRETS = Resource("v1", "secrets")
CLUSTER_WIDE = ("ClusterRole", "ClusterRoleBinding", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
RUNNING = ("orchestrator", "serving", "gateway", "operator")
_SERVING = {"POSOLOGY_TICK_SECONDS": "0.2", "POSOLOGY_SCALE_SECONDS": "1", "POSOLOGY_LOG_LEVEL": "DEBUG"}
_SLOWLY = [{"role": "user", "content": "May I take it with food? [wait 0.05]"}]
ENGINES = "app.kubernetes.io/component=engine"


class Doors(Forwarded):
    """What these tests call, on this machine's loopback."""

    def __init__(self, namespace: str) -> None:
        super().__init__(namespace, "posology")
        self._forwards: dict[str, asyncio.subprocess.Process] = {}

    def renew(self) -> None:
        """Open all anew: a forward to a pod that was killed without grace stays open and leads nowhere."""
        for process in self._forwards.values():
            if process.returncode is None:
                process.terminate()

    async def _start(self, *words: str, stderr: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
        started = await super()._start(*words, stderr=stderr)
        self._forwards[" ".join(words)] = started
        return started

    def _targets(self) -> Iterator[tuple[str, tuple[str, int]]]:
        yield "serving", (f"svc/{self.name}-serving", 7410)
        yield "gateway", (f"svc/{self.name}-gateway", 7410)
        yield "http", (f"svc/{self.name}", 80)


@dataclass
class World:
    """One release in a namespace of its own."""

    nodes: Nodes
    kube: Kube
    namespace: str
    s3: S3
    folder: Path
    images: Images
    installation: Installation = field(init=False)
    buckets: dict[str, str] = field(init=False)
    made: list[Object] = field(default_factory=list)
    apart: bool = False
    """Whether engines run in a namespace of work, as by default, or beside the services."""

    def __post_init__(self) -> None:
        self.installation = Installation(self.folder)
        self.buckets = {name: self.s3.bucket() for name in ("candidates", "released", "staging")}
        self.installation.candidates = ArtifactStore(self.buckets["candidates"], options=self.s3.options)
        self.installation.released = ArtifactStore(self.buckets["released"], options=self.s3.options)

    # --- the release ---------------------------------------------------------------------------------

    def values(self, **engines: Any) -> Object:
        control, tag = self.images.control.rsplit(":", 1)
        small = {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}
        stopped = {name: {"replicas": 0} for name in ("curation", "training")}
        return {
            "images": {"control": control, "tag": tag},
            "postgresql": {"image": self.images.postgresql},
            "storage": {
                "volume": {"enabled": False},
                "secret": "storage",
                **{name: f"{url}#env:{name.upper()}" for name, url in self.buckets.items()},
            },
            "releasePolicy": {"development": True},
            "services": stopped | {"serving": {"env": _SERVING}},
            "engines": {
                "image": self.images.engine,
                "python": "/opt/stand-in",
                "storageSecret": "engine-storage",
                "resources": small,
                "agentResources": small,
                "startSeconds": 120,
                "drainSeconds": 60,
                **engines,
            },
            "tls": {"enabled": True, "secret": "certificates"},
            "operator": {"namespaces": [self.namespace]},
            "work": {"apart": True, "leftBehind": "always"} if self.apart else {"apart": False},
            "aggregatedRoles": False,
        }

    async def install(self, **engines: Any) -> None:
        """Apply what the chart renders, and wait until the services that run here are ready."""
        text = static.with_values("posology", self.values(**engines), DEV, namespace=self.namespace)
        objects = [found for found in static.objects(text) if found["kind"] not in ("FineTuneRun",)]
        if self.made:  # hooks of an installation run once, but for what is brought to namespaces of work
            objects = [o for o in objects if o["kind"] != "Job" or o["metadata"]["name"].endswith("-of-work")]
        await define_runs(self.kube)
        for found in sorted(objects, key=lambda o: o["kind"] != "Namespace"):
            await self.kube.apply(kind_of(found), self._scope(found), found, manager="helm")
        self.made = [found for found in objects if found["kind"] in CLUSTER_WIDE]
        await eventually(self.is_ready, within=180)

    async def uninstall(self) -> None:
        for found in self.made:
            await self.kube.delete(kind_of(found), "", found["metadata"]["name"])
        if self.apart:
            await self.kube.delete(NAMESPACES, "", f"{self.namespace}-work")
        await self.kube.delete(NAMESPACES, "", self.namespace)
        await eventually(self._is_gone, within=180)
        await recycle(self.kube, self.namespace)

    async def _is_gone(self) -> bool:
        try:
            await self.kube.read(NAMESPACES, "", self.namespace)
        except errors.NotFound:
            return True
        return False

    def _scope(self, found: Object) -> str:
        return (
            "" if found["kind"] in (*CLUSTER_WIDE, "Namespace") else found["metadata"].get("namespace", self.namespace)
        )

    async def is_ready(self) -> bool:
        return all([await self.service_is_ready(service) for service in RUNNING])

    async def service_is_ready(self, service: str) -> bool:
        """All its pods are of the present template and ready, and no other is left."""
        found = await self.kube.read(DEPLOYMENTS, self.namespace, f"posology-{service}")
        status, wanted = found.get("status", {}), found["spec"]["replicas"]
        if status.get("observedGeneration") != found["metadata"]["generation"]:
            return False
        return bool(status.get("readyReplicas", 0) == status.get("replicas", 0) == wanted)

    async def prepare(self) -> None:
        """The namespace with certificates, the storage credentials of services, and those of engines, who may read
        `released` only."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        await self.kube.create(NAMESPACES, "", {"metadata": {"name": self.namespace, "labels": labels}})
        theirs = self.s3.user(f"engine-{self.namespace}")
        _allow(self.s3, self.buckets["released"], str(theirs["key"]))
        services = {name.upper(): json.dumps(self.s3.options) for name in self.buckets}
        await self._secret("storage", services)
        await self._secret("engine-storage", {"RELEASED": json.dumps(theirs)})
        shown = ("catalog", *SERVICES, "operator", "engine")
        names = [f"posology-{name}.{self.namespace}.svc" for name in shown]
        files = Authority().write(self.folder / "tls", *names, "127.0.0.1")
        await self._secret("certificates", {path.name: path.read_text() for path in files.values()})

    async def _secret(self, name: str, data: dict[str, str]) -> None:
        await self.kube.create(SECRETS, self.namespace, {"metadata": {"name": name}, "stringData": data})

    async def secret(self, name: str, key: str) -> bytes:
        found = await self.kube.read(SECRETS, self.namespace, name)
        return base64.b64decode(found["data"][key])

    # --- its doors -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def doors(self) -> AsyncIterator["Open"]:
        """A client of serving, and one of the gateway."""
        for name in ("evaluation.key", "evaluation.pub"):
            (self.folder / "keys" / name).write_bytes(await self.secret("posology-key-evaluation", name))
        (self.folder / "keys" / "evaluation.key").chmod(0o600)
        self.installation.signer = Signer.load_or_create(self.folder / "keys" / "evaluation.key")
        token = (await self.secret("posology-token", "token")).decode().strip()
        async with AsyncExitStack() as stack:
            doors = Doors(self.namespace)
            await stack.enter_async_context(doors.open())
            serving = await stack.enter_async_context(self._channel(doors.ports["serving"], token))
            gateway: Any = GatewayStub(await stack.enter_async_context(self._channel(doors.ports["gateway"], token)))
            request = gateway_pb2.CreateApiKeyRequest(parent="namespaces/default", display_name="tests")
            made = await gateway.CreateApiKey(request)
            http = httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{doors.ports['http']}",
                headers={"authorization": f"Bearer {made.secret}"},
                timeout=60,
            )
            asking = Client(await stack.enter_async_context(http), [])
            # The process is none of ours; what the tests use of it are its calls.
            service = Service(self.installation, {}, None, serving, ServingStub(serving))  # type: ignore[arg-type]
            yield Open(self, service, asking, doors)

    @asynccontextmanager
    async def _channel(self, port: int, token: str) -> AsyncIterator[Any]:
        settings = ServiceSettings(data_dir=self.folder, **settings_of(self.folder / "tls"))
        async with client.channel(f"127.0.0.1:{port}", token=token, files=Files.of(settings)) as opened:
            yield opened

    # --- what the cluster says -------------------------------------------------------------------------

    async def engines(self) -> list[Object]:
        listed = await self.kube.select(DEPLOYMENTS, self.namespace, labels=ENGINES)
        return list(listed["items"])

    async def pods(self, labels: str = ENGINES) -> list[Object]:
        listed = await self.kube.select(PODS, self.namespace, labels=labels)
        return sorted(listed["items"], key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    async def has_no(self, service: str) -> bool:
        return not await self.pods(f"app.kubernetes.io/component={service}")

    async def kill(self, service: str) -> None:
        """kill -9 of its pods, which the API server forgets at once."""
        for pod in await self.pods(f"app.kubernetes.io/component={service}"):
            await self.kube.delete(PODS, self.namespace, pod["metadata"]["name"], gracePeriodSeconds=0)

    async def python(self, of: str, code: str, *words: str, container: str = "", wanted: int | None = 0) -> str:
        """Run Python in the only pod of a component; what it printed."""
        [pod] = await self.pods(f"app.kubernetes.io/component={of}")
        chosen = ["-c", container] if container else []
        command = ["kubectl", "-n", self.namespace, "exec", pod["metadata"]["name"], *chosen]
        process = await asyncio.create_subprocess_exec(
            *command, "--", "python", "-c", code, *words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        out, _ = await process.communicate()
        assert wanted is None or process.returncode == wanted, out.decode()
        return out.decode().strip()

    async def scale(self, service: str, replicas: int) -> None:
        change = {"spec": {"replicas": replicas}}
        await self.kube.merge(DEPLOYMENTS, self.namespace, f"posology-{service}", change)


@dataclass
class Open:
    """The release with open doors."""

    world: World
    service: Service
    asking: Client
    doors: Doors

    async def again(self) -> None:
        """Returns once services that were killed are ready, and the doors lead to them."""
        await eventually(self.world.is_ready, within=120)
        self.renew()
        await eventually(self._is_reachable)

    def renew(self) -> None:
        """Open the doors anew."""
        self.doors.renew()

    async def _is_reachable(self) -> bool:
        try:
            await self.service.rpc.ListDeployments(pb.ListDeploymentsRequest(parent="namespaces/default"))
            return (await self.asking.http.get("/health")).status_code == 200
        except (errors.Unavailable, httpx.TransportError):
            return False

    async def create(
        self, name: str, model: str, *, model_name: str = "", verdict: str = "", gpus: int = 0
    ) -> pb.Deployment:
        spec = pb.ServingSpec(model_name=model_name or name, gpus=gpus)
        return await self.service.create(model, verdict=verdict, name=name, spec=spec)

    async def until(self, state: str, name: str) -> pb.Deployment:
        return await self.service.until(state, name=name, seconds=150)

    async def until_reason(self, name: str, words: str) -> str:
        async def said() -> str:
            reason = (await self.service.get(name)).reason
            return reason if words in reason else ""

        found: str = await eventually(said)
        return found

    async def delete(self, name: str) -> None:
        """Delete a deployment and see its engines gone."""
        await self.service.rpc.DeleteDeployment(
            pb.DeleteDeploymentRequest(name=f"namespaces/default/deployments/{name}")
        )
        await self.until("STOPPED", name)
        await eventually(self._nothing_is_left)

    async def _nothing_is_left(self) -> bool:
        return not await self.world.engines() and not await self.world.pods()

    @asynccontextmanager
    async def deployed(self, name: str) -> AsyncIterator[str]:
        """Weights of their own, ready under a model name of their own, which is yielded; deleted afterwards."""
        model = self.world.installation.weights(name)
        self.world.installation.verdict(model, seed=name, modelName=name)
        await self.create(name, model)
        await self.until("READY", name)
        await eventually(lambda: self.answers(name))
        try:
            yield name
        finally:
            if (await self.service.get(name)).state not in (pb.Deployment.FAILED, pb.Deployment.STOPPED):
                await self.delete(name)

    async def ask(self, model: str, **fields: Any) -> httpx.Response:
        return await Client(self.asking.http, []).ask(model=model, **fields)

    async def answers(self, model: str) -> bool:
        try:
            return (await self.ask(model)).status_code == 200
        except httpx.TransportError:  # the forward to a gateway that was killed
            return False

    @asynccontextmanager
    async def streaming(self, model: str, *, clients: int, tokens: int = 20) -> AsyncIterator[Client]:
        """Clients that stream answers of about a second without end while the block runs."""
        over, kept = asyncio.Event(), Client(self.asking.http, [])

        async def one() -> None:
            while not over.is_set():
                await kept.ask(model=model, stream=True, max_tokens=tokens, messages=_SLOWLY)

        asks = [asyncio.ensure_future(one()) for _ in range(clients)]
        try:
            yield kept
        finally:
            over.set()
            await asyncio.gather(*asks)

    async def only_another(self, before: Object) -> Object | None:
        """The pod that took the place of `before`, once it is ready and `before` is gone."""
        pods = await self.world.pods()
        if [pod["metadata"]["uid"] for pod in pods if pod["metadata"]["uid"] == before["metadata"]["uid"]]:
            return None
        ready = [pod for pod in pods if _is_ready(pod)]
        return ready[0] if len(ready) == len(pods) == 1 else None


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def kind_of(found: Object) -> Resource:
    plural = found["kind"].lower()
    return Resource(found["apiVersion"], plural[:-1] + "ies" if plural.endswith("y") else f"{plural}s")


def _allow(s3: S3, bucket: str, user: str) -> None:
    """Let a user read one bucket."""
    name = bucket.removeprefix("s3://")
    told = {
        "Effect": "Allow",
        "Principal": {"AWS": [user]},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
    }
    owner = s3fs.S3FileSystem(**s3.options, skip_instance_cache=True)
    owner.call_s3("put_bucket_policy", Bucket=name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [told]}))


async def eventually(find: Callable[[], Any], *, within: float = 60.0) -> Any:
    """What the coroutine function `find` gives, once that is something."""
    async with asyncio.timeout(within):
        while not (found := await find()):
            await asyncio.sleep(0.2)
        return found
