"""Makes what an installation on a cluster must not share with any other: its token, its signing keys and certificates.

`python -m posology.operator.credentials PREFIX [DATABASE_HOST]`, run by the chart before anything else starts. What is
there stays, so that an upgrade changes no key; what another tool made beforehand (a vault, a sealed secret) is taken as
it is. With a host, there are passwords for the PostgreSQL that comes along, too.

`python -m posology.operator.credentials PREFIX --renew`, run by the chart afterwards and every day, renews certificates
and brings public keys, certificates and the Secrets of workers and engines to the namespaces where those run.
"""

import asyncio
import base64
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from posology.core import telemetry
from posology.core.canonical import canonical_json
from posology.core.errors import AlreadyExists, PosologyError
from posology.core.files import write_atomically
from posology.core.kube import ClusterConfig, Kube, Resource
from posology.core.release.document import FILE, KEY, development, parse, sign, verified
from posology.core.signing import PublicKey, Signer
from posology.operator import database_roles
from posology.operator.certificates import Certificate
from posology.operator.certificates import renew as renew_certificates
from posology.operator.work_namespaces import Copies, bring

SECRETS = Resource("v1", "secrets")
CONFIG_MAPS = Resource("v1", "configmaps")
RENEW = "--renew"
SIGNERS = ("curation", "training", "evaluation", "orchestrator")
"""Services that sign what they observed; each gets a Secret with its own key, and nobody else mounts it. The
orchestrator's signs the catalog's deny-list."""


async def make(kube: Kube, prefix: str, database: str = "") -> None:
    """`PREFIX-token`, `PREFIX-key-SERVICE` for each signer, and `PREFIX-public-keys` for everybody.

    With the host of a database also `PREFIX-database`, its password and URL.
    """
    namespace = kube.access.namespace
    if database:
        await _logins(kube, namespace, f"{prefix}-database", database)
    await _once(kube, namespace, f"{prefix}-token", {"token": f"{secrets.token_urlsafe(32)}\n".encode()})
    public = {}
    for service in SIGNERS:
        await _once(kube, namespace, f"{prefix}-key-{service}", _new_key(service))
        secret = await kube.read(SECRETS, namespace, f"{prefix}-key-{service}")
        public[f"{service}.pub"] = base64.b64decode(secret["data"][f"{service}.pub"]).decode()
    public |= await _release_policy(kube, prefix, os.environ)
    body = {"metadata": {"name": f"{prefix}-public-keys"}, "data": public}
    try:
        await kube.create(CONFIG_MAPS, namespace, body)
    except AlreadyExists:
        await kube.merge(CONFIG_MAPS, namespace, f"{prefix}-public-keys", {"data": public})


async def _release_policy(kube: Kube, prefix: str, environment: Mapping[str, str]) -> dict[str, str]:
    """The signed release policy beside the public keys, as engines find it: the one that the chart's values bring with
    the key that signed it, or, for trying things out, the development policy, signed here."""
    key = environment.get("POSOLOGY_RELEASE_POLICY_PUBLIC_KEY", "")
    if envelope := environment.get("POSOLOGY_RELEASE_POLICY_ENVELOPE"):
        verified(json.loads(envelope), [PublicKey.from_pem(key)])  # a policy that nobody believes is said now
        return {FILE: envelope, f"{KEY}.pub": key}
    if key:
        return {f"{KEY}.pub": PublicKey.from_pem(key).pem}  # the policy itself comes as a ReleasePolicy resource
    if environment.get("POSOLOGY_RELEASE_POLICY_DEVELOPMENT") != "true":
        return {}
    namespace = kube.access.namespace
    await _once(kube, namespace, f"{prefix}-key-{KEY}", _new_key(KEY))
    secret = await kube.read(SECRETS, namespace, f"{prefix}-key-{KEY}")
    with tempfile.TemporaryDirectory() as folder:
        for name, value in secret["data"].items():
            write_atomically(Path(folder) / name, base64.b64decode(value), mode=0o600)
        signer = Signer.load_or_create(Path(folder) / f"{KEY}.key")
        name, spec = parse(development(), origin="the development policy")
        return {FILE: canonical_json(sign(name, spec, signer)).decode(), f"{KEY}.pub": signer.public_key.pem}


def _new_key(service: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{service}.key"
        Signer.load_or_create(path)
        return {file.name: file.read_bytes() for file in (path, path.with_suffix(".pub"))}


async def _logins(kube: Kube, namespace: str, name: str, host: str) -> None:
    """`password` and `url` of the superuser, and by service the URL of a role of its own; those that an installation
    lacks are added."""
    password = secrets.token_urlsafe(24)
    own = {service: _url(host, f"posology_{service}", secrets.token_urlsafe(24)) for service in database_roles.SCHEMAS}
    await _once(kube, namespace, name, {"password": password.encode(), "url": _url(host, "posology", password)} | own)
    existing = (await kube.read(SECRETS, namespace, name))["data"]
    lacking = {service: base64.b64encode(url).decode() for service, url in own.items() if service not in existing}
    if lacking:
        await kube.merge(SECRETS, namespace, name, {"data": lacking})


def _url(host: str, user: str, password: str) -> bytes:
    return f"postgresql+psycopg://{user}:{password}@{host}:5432/posology".encode()


async def _once(kube: Kube, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    try:
        await kube.create(SECRETS, namespace, {"metadata": {"name": name}, "type": "Opaque", "data": encoded})
    except AlreadyExists:
        return


async def renew(kube: Kube, prefix: str, environment: Mapping[str, str]) -> None:
    """Certificates, and copies for the namespaces of work, as two variables of the chart say (JSON)."""
    if text := environment.get("POSOLOGY_CERTIFICATES"):
        asked = {name: Certificate.model_validate(one) for name, one in json.loads(text).items()}
        await renew_certificates(kube, prefix, asked)
    if text := environment.get("POSOLOGY_WORK_COPIES"):
        await bring(kube, Copies.model_validate_json(text))


async def _main(prefix: str, what: str = "") -> None:
    telemetry.log_as_json("credentials")
    async with Kube(ClusterConfig.discover()) as kube:
        if what != RENEW:
            await make(kube, prefix, what)
        await renew(kube, prefix, os.environ)


def main() -> None:
    """Entry point of the process."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python -m posology.operator.credentials PREFIX [DATABASE_HOST | --renew]")
    try:
        asyncio.run(_main(*sys.argv[1:]))
    except PosologyError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
