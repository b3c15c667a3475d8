"""The npm package oidc-provider as the provider of identities, run by Node; Node is needed for these tests alone."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.certificates import Authority
from support.servers import REPOSITORY, _free_port

_HERE = Path(__file__).with_name("oidc_provider")
_MODULES = REPOSITORY / "build" / "tools" / "oidc-provider"
SECRET = "a secret of the tests"


@dataclass(frozen=True)
class Issuer:
    """A running provider."""

    url: str
    authority: Path


@contextmanager
def oidc_provider(
    folder: Path, console: str, *, groups: Mapping[str, list[str]], seconds: Mapping[str, int]
) -> Iterator[Issuer]:
    """One with a client `console`. `groups`: user -> groups; `seconds`: user -> how long their ID tokens last."""
    files = Authority().write(folder, "localhost")
    settings = {
        "port": _free_port(), "client": "console", "secret": SECRET, "console": console, "groups": dict(groups),
        "seconds": dict(seconds), "key": str(files["tls_key_file"]), "certificate": str(files["tls_cert_file"]),
        "modules": str(_modules()),
    }  # fmt: skip
    log = (folder / "provider.log").open("wb")
    process = subprocess.Popen(
        ["node", str(_HERE / "server.mjs"), json.dumps(settings)], stdout=subprocess.PIPE, stderr=log
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        assert url.startswith("https://"), (folder / "provider.log").read_text()
        yield Issuer(url, files["tls_ca_file"])
    finally:
        process.kill()
        process.wait(10)
        log.close()


def _modules() -> Path:
    """The package with what it needs, as the lock file says; skips where it can't be had."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node here, which runs the provider of identities; `make system` installs it where it may")
    if not (_MODULES / "node_modules" / "oidc-provider").exists():
        _MODULES.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_HERE / name, _MODULES / name)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
        done = subprocess.run(command, cwd=_MODULES, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            pytest.skip(f"the package oidc-provider can't be had here: {done.stderr[-200:]}")
    return _MODULES
