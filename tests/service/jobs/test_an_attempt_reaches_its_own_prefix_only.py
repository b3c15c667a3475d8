"""Credentials of attempts, as a real object store judges them: what they open, what they don't, and when they end."""

import asyncio
import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.role_server import ROLE, RoleStore, role_server, seaweedfs

from posology.core.artifacts import ArtifactStore, Staging
from posology.core.artifacts.backend import Backend
from posology.core.artifacts.backends import open_backend
from posology.core.errors import FailedPrecondition, PermissionDenied, Unavailable
from posology.core.jobs.domain import checkpoint_prefix, staging_prefix
from posology.core.jobs.launchers.kubernetes.manifest import SESSION
from posology.core.jobs.launchers.kubernetes.pods import WorkerRole
from posology.core.jobs.launchers.kubernetes.sts_credentials import StsCredentials
from posology.core.jobs.worker.assignment import Assignment, parse
from posology.core.jobs.worker.checkpoint_sync import CheckpointSync
from posology.core.jobs.worker.link import Link
from posology.core.jobs.worker.runtime import Stopped, hand_over

MINE, OTHER = "namespaces/a/trainingJobs/mine", "namespaces/a/trainingJobs/mine-too"
VARIABLE = "TEST_STORAGE"


@pytest.fixture(scope="module")
def versitygw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoleStore]:
    with role_server(tmp_path_factory.mktemp("roles")) as found:
        yield found


@pytest.fixture(scope="module", params=["versitygw", "seaweedfs"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RoleStore]:
    if request.param == "versitygw":
        yield request.getfixturevalue("versitygw")
    else:
        with seaweedfs(tmp_path_factory.mktemp("weed")) as found:
            yield found


class World:
    """A service with its own credentials, and the pods of attempts as environments of this process."""

    def __init__(self, folder: Path, store: RoleStore, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.store, self.patch = folder, store, patch
        self.bucket = store.s3.bucket()
        self.options = store.s3.options
        patch.setenv(VARIABLE, json.dumps(self.options))
        role = WorkerRole(arn=ROLE, endpoint=store.sts, sources=[f"{store.s3.bucket()}/labels/spl"])
        self.sources = role.sources[0]
        self.sessions = StsCredentials(role, candidates=self.url("candidates"), staging=self.url("staging"))

    def url(self, place: str) -> str:
        return f"{self.bucket}/{place}#env:{VARIABLE}"

    def published(self) -> str:
        """An artifact that the services published."""
        (self.folder / "made").mkdir()
        (self.folder / "made/weights").write_text("w")
        candidates = ArtifactStore(f"{self.bucket}/candidates", options=self.options)
        return candidates.publish(self.folder / "made", kind="model", producer="test/1")

    def put(self, key: str, text: str = "x") -> None:
        """As the services do, which may do everything."""
        where, _, name = key.rpartition("/")
        save(open_backend(f"{self.bucket}/{where}", self.options), name, text.encode())

    async def write_secret(self, job: str, attempt: int, mounted: Path) -> None:
        """The attempt's Secret, where the kubelet would put it: all files at once, by one link."""
        with self.patch.context() as patch:
            patch.setenv(VARIABLE, json.dumps(self.options))
            files = await self.sessions.files(job, attempt, name="attempt")
        version = mounted / f"v{time.monotonic_ns()}"
        version.mkdir(parents=True)
        for name, text in files.items():
            (version / name).write_text(text.replace(SESSION, str(mounted / "now")))
        link = mounted / "next"
        link.symlink_to(version)
        link.replace(mounted / "now")

    @contextmanager
    def pod(self, mounted: Path) -> Iterator[None]:
        """What a worker's pod has of the environment."""
        with self.patch.context() as patch:
            for name, value in self.sessions.environment.items():
                patch.setenv(name, value.replace(SESSION, str(mounted / "now")))
            yield

    def assignment(self, staging: str) -> Assignment:
        """Of an attempt that is done but for handing its output over."""
        output = self.folder / "output"
        output.mkdir()
        (output / "weights").write_text("w")
        places = {"workdir": self.folder, "inputs": self.folder, "output": output, "staging": staging}
        named = {"job": MINE, "kind": "sft", "attempt": 1, "token": "t", "service": "", "spec": {}}
        return parse(named | places | {"prefix": staging_prefix(MINE, 1)})

    @contextmanager
    def attempt(self, job: str, number: int) -> Iterator[None]:
        mounted = self.folder / f"{job.rpartition('/')[2]}-{number}"
        asyncio.run(self.write_secret(job, number, mounted))
        with self.pod(mounted):
            yield


@pytest.fixture
def world(tmp_path: Path, server: RoleStore, monkeypatch: pytest.MonkeyPatch) -> World:
    """Over each of the servers."""
    return _world(tmp_path, server, monkeypatch)


@pytest.fixture
def short(tmp_path: Path, versitygw: RoleStore, monkeypatch: pytest.MonkeyPatch) -> World:
    """One whose sessions may be short, and whose STS may fail."""
    return _world(tmp_path, versitygw, monkeypatch)


def _world(folder: Path, server: RoleStore, patch: pytest.MonkeyPatch) -> World:
    server.reset()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        patch.delenv(name)
    return World(folder, server, patch)


def save(backend: Backend, key: str, content: bytes = b"x") -> None:
    with backend.writing(key) as sink:
        sink.write(content)
        sink.commit()


def read(url: str, key: str) -> bytes:
    with open_backend(url).open(key) as file:
        return file.read()


def test_an_attempt_reads_its_inputs_and_leaves_its_files(world: World) -> None:
    given = world.published()
    (world.folder / "output").mkdir()
    (world.folder / "output/large").write_bytes(os.urandom(40 << 20))
    (world.folder / "output/small").write_text("s")
    with world.attempt(MINE, 1):
        found = ArtifactStore(world.url("candidates")).materialize(given, world.folder / "cache")
        assert (found / "weights").read_text() == "w"
        assert not ArtifactStore(world.url("candidates")).exists("sha256:" + "0" * 64)
        staging = Staging(world.url("staging"))
        files = staging.upload(world.folder / "output", staging_prefix(MINE, 1))
    assert [file.path for file in files] == ["large", "small"]
    with Staging(f"{world.bucket}/staging", world.options).open(staging_prefix(MINE, 1), "small") as left:
        assert left.read() == b"s"


def test_a_checkpoint_that_may_not_be_read_counts_as_none(world: World) -> None:
    world.put(f"staging/{checkpoint_prefix(OTHER)}/1/files.json", "[]")
    with world.attempt(MINE, 2):  # S3 says of what is not there that it may not be read, if names may not be listed
        work = CheckpointSync(
            world.folder / "work", url=world.url("staging"), prefix=checkpoint_prefix(OTHER), attempt=2
        )
        assert work.take_over() == 0


def test_the_next_attempt_goes_on_from_what_the_one_before_saved(world: World) -> None:
    def handover(number: int) -> tuple[Path, CheckpointSync]:
        workdir = world.folder / f"work-{number}"
        workdir.mkdir()
        return workdir, CheckpointSync(
            workdir, url=world.url("staging"), prefix=checkpoint_prefix(MINE), attempt=number
        )

    with world.attempt(MINE, 1):
        workdir, saved = handover(1)
        for state in ("one", "two"):  # the second save deletes what only the first one needed
            (workdir / "state").write_text(state)
            saved.save()
    with world.attempt(MINE, 3):  # the second one never saved
        workdir, found = handover(3)
        assert found.take_over() == 1
        assert (workdir / "state").read_text() == "two"


@pytest.mark.parametrize(
    "key",
    [
        f"{staging_prefix(MINE, 1)}/model",
        f"{staging_prefix(MINE, 20)}/model",
        f"{checkpoint_prefix(MINE)}/1/files.json",
        f"{staging_prefix(OTHER, 2)}/model",
        f"{checkpoint_prefix(OTHER)}/2/files.json",
        "elsewhere",
    ],
)
def test_an_attempt_changes_nothing_that_another_one_left(world: World, key: str) -> None:
    world.put(f"staging/{key}")
    with world.attempt(MINE, 2):
        with pytest.raises(PermissionDenied):
            save(open_backend(world.url("staging")), key, b"spoilt")
        with pytest.raises(PermissionDenied):
            open_backend(world.url("staging")).delete(key)
    assert read(world.url("staging"), key) == b"x"


@pytest.mark.parametrize("key", [f"{staging_prefix(OTHER, 1)}/model", f"{checkpoint_prefix(OTHER)}/1/files.json"])
def test_an_attempt_reads_nothing_of_other_jobs(world: World, key: str) -> None:
    world.put(f"staging/{key}")
    with world.attempt(MINE, 1), pytest.raises(PermissionDenied):
        read(world.url("staging"), key)
    with world.attempt(MINE, 1), pytest.raises(PermissionDenied):
        list(open_backend(world.url("staging")).list("jobs"))


def test_what_was_released_and_what_was_published_are_out_of_reach(world: World) -> None:
    given = world.published()
    world.put("released/manifests/x")
    world.put("keys/training.key")
    with world.attempt(MINE, 1):
        for place in ("released/manifests", "keys", "candidates/blobs"):
            with pytest.raises(PermissionDenied):
                save(open_backend(world.url(place)), "x")
        for place, key in (("released/manifests", "x"), ("keys", "training.key")):
            with pytest.raises(PermissionDenied):
                read(world.url(place), key)
        with pytest.raises(PermissionDenied):
            ArtifactStore(world.url("candidates")).delete(given)


def test_sources_that_specs_may_name_are_read_with_the_same_credentials(world: World) -> None:
    bucket = world.sources.removesuffix("/labels/spl")
    for key in ("labels/spl/a.xml", "labels/private/b.xml"):
        save(open_backend(bucket, world.options), key, b"<document/>")
    with world.attempt(MINE, 1):
        found = open_backend(f"{bucket}/labels#env:{VARIABLE}")
        assert [stored.key for stored in found.list("spl")] == ["spl/a.xml"]
        assert read(f"{bucket}/labels#env:{VARIABLE}", "spl/a.xml") == b"<document/>"
        with pytest.raises(PermissionDenied):
            read(f"{bucket}/labels#env:{VARIABLE}", "private/b.xml")


def test_no_variable_of_a_pod_holds_credentials_of_the_service(world: World) -> None:
    assert world.store.s3.secret not in json.dumps(world.sessions.environment)
    assert json.loads(world.sessions.environment[VARIABLE]) == {"endpoint_url": world.store.s3.endpoint}


def test_a_worker_goes_on_with_renewed_credentials_and_ends_with_old_ones(short: World) -> None:
    short.store.lasts = 2.0
    mounted = short.folder / "mounted"
    asyncio.run(short.write_secret(MINE, 1, mounted))
    with short.pod(mounted):
        backend = open_backend(f"{short.url('staging')}")
        began, saves = time.monotonic(), 0
        while time.monotonic() < began + 5.0:  # more than two lives of credentials, with one client
            save(backend, f"{staging_prefix(MINE, 1)}/{saves}")
            saves += 1
            if saves % 3 == 0:
                asyncio.run(short.write_secret(MINE, 1, mounted))
            time.sleep(0.3)
        time.sleep(2.5)
        with pytest.raises(Unavailable, match="ran out"):
            save(backend, f"{staging_prefix(MINE, 1)}/late")
        asyncio.run(short.write_secret(MINE, 1, mounted))
        save(backend, f"{staging_prefix(MINE, 1)}/late")  # the service is back


def test_output_waits_for_credentials_that_are_on_their_way(short: World) -> None:
    given = short.assignment(short.url("staging"))
    short.store.lasts = 0.0
    asyncio.run(short.write_secret(MINE, 1, short.folder / "mounted"))
    short.store.lasts = None
    stopping = threading.Event()
    with short.pod(short.folder / "mounted"):
        threading.Timer(2.0, asyncio.run, [short.write_secret(MINE, 1, short.folder / "mounted")]).start()
        [file] = hand_over(Link(given, stopping), stopping)
    assert file.path == "weights"


def test_an_attempt_that_shall_stop_waits_for_no_store(short: World) -> None:
    given, stopping = short.assignment(short.url("staging")), threading.Event()
    short.store.lasts = 0.0
    stopping.set()
    with short.attempt(MINE, 1), pytest.raises(Stopped):
        hand_over(Link(given, stopping), stopping)


def test_who_may_not_assume_the_role_is_told_so(short: World) -> None:
    short.store.refuses = True
    with pytest.raises(FailedPrecondition, match=r"may not assume arn:aws:iam.*not authorized"):
        asyncio.run(short.sessions.files(MINE, 1, name="attempt"))


def test_a_service_without_credentials_is_told_so(short: World) -> None:
    short.patch.setenv(VARIABLE, json.dumps({"endpoint_url": short.store.s3.endpoint}))
    short.patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(FailedPrecondition, match="Unable to locate credentials"):
        asyncio.run(short.sessions.files(MINE, 1, name="attempt"))


def test_an_sts_that_is_away_is_asked_again_later(short: World) -> None:
    short.store.away = True
    with pytest.raises(Unavailable):
        asyncio.run(short.sessions.files(MINE, 1, name="attempt"))
    short.store.away = False
    assert asyncio.run(short.sessions.files(MINE, 1, name="attempt"))
    assert short.store.assumed[-1]["DurationSeconds"] == "3600"
