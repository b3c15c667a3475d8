"""`build_jobs`, as every service's composition root makes it, here under mutual TLS."""

import datetime
import ipaddress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from support.job_installation import COMMAND, finished, named

from posology.core.errors import InvalidInput
from posology.core.jobs.domain import State
from posology.core.jobs.service.build import build_jobs
from posology.core.jobs.service.jobs import SERVICE_NAME
from posology.core.jobs.settings import JobSettings
from posology.core.rpc.auth import ensure_token
from posology.core.rpc.server import Server, running
from posology.core.settings import load
from posology.core.store import Database


async def test_workers_reach_a_service_that_wants_their_certificate(tmp_path: Path) -> None:
    certificate, key = _self_signed(tmp_path)
    settings = load(
        JobSettings,
        data_dir=tmp_path,
        metrics_port=-1,
        tls_cert_file=certificate,
        tls_key_file=key,
        tls_ca_file=certificate,
    )
    ensure_token(settings.token_file)
    db = Database(settings.database_url)
    await db.migrate("posology.core.audit", "posology.core.jobs")
    jobs = build_jobs(settings, db, commands={"count": COMMAND})
    server = Server(
        name="micro",
        settings=settings,
        add=jobs.add_to,
        service_names=(SERVICE_NAME,),
        exempt=(SERVICE_NAME,),
        on_ready=(jobs.ready,),
        background=(jobs.run,),
        on_drain=(jobs.drain,),
    )
    async with running(server):
        await jobs.create(named("a", steps=2))
        job = await finished(jobs, "namespaces/test/evaluations/a")
    await db.close()
    assert (job.state, job.attempt) == (State.SUCCEEDED, 1)


def _self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "posology")])
    time = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(time - datetime.timedelta(minutes=5))
        .not_valid_after(time + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "tls.crt", folder / "tls.key"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate, private


def test_workers_on_kubernetes_need_an_image(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="POSOLOGY_LAUNCHER=kubernetes needs POSOLOGY_WORKER_PODS"):
        load(JobSettings, data_dir=tmp_path, launcher="kubernetes")


def test_pods_are_described_by_one_variable_in_the_words_of_kubernetes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSOLOGY_LAUNCHER", "kubernetes")
    monkeypatch.setenv("POSOLOGY_WORKER_PODS", '{"image": "w:1", "pools": {"gpu": {"runtimeClass": "nvidia"}}}')
    settings = load(JobSettings, data_dir=tmp_path)
    assert settings.worker_pods is not None
    assert settings.worker_pods.pools["gpu"].runtime_class == "nvidia"
    monkeypatch.setenv("POSOLOGY_WORKER_PODS", '{"image": "w:1", "pools": {"gpu": {"runtimeclass": "nvidia"}}}')
    with pytest.raises(InvalidInput, match="POSOLOGY_WORKER_PODS_POOLS_GPU_RUNTIMECLASS"):
        load(JobSettings, data_dir=tmp_path)
