"""A token goes where this installation said that its services are, and nowhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from posology.client.installation import ENDPOINTS, Installation, this_process
from posology.core.errors import InvalidInput, Unavailable


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("POSOLOGY_")]:
        monkeypatch.delenv(name)


def endpoints(folder: Path, **changes: object) -> None:
    (folder / "token").write_text("secret\n")
    written = {
        "addresses": dict.fromkeys(("orchestrator", "curation"), "127.0.0.1:9"),
        "processes": {"supervisor": os.getpid()},
        "writer": this_process(),
    }
    (folder / ENDPOINTS).write_text(json.dumps({**written, **changes}))


def test_named_addresses_get_it(tmp_path: Path) -> None:
    endpoints(tmp_path)
    assert Installation.discover(tmp_path).token_for("orchestrator") == "secret"


def test_a_folder_with_a_token_and_nothing_else_calls_nobody(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with pytest.raises(Unavailable, match="posology up"):
        Installation.discover(tmp_path).address("orchestrator")


def test_an_address_of_the_environment_does_not_get_the_token_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoints(tmp_path)
    monkeypatch.setenv("POSOLOGY_ORCHESTRATOR_ADDRESS", "10.0.0.1:7410")
    installation = Installation.discover(tmp_path)
    assert installation.address("orchestrator") == "10.0.0.1:7410"
    assert installation.token_for("orchestrator") == ""
    assert installation.token_for("curation") == "secret"


@pytest.mark.parametrize("variable", ["POSOLOGY_TOKEN", "POSOLOGY_TOKEN_FILE"])
def test_a_token_that_the_user_names_goes_where_the_user_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    (tmp_path / "mine").write_text("mine\n")
    monkeypatch.setenv("POSOLOGY_ORCHESTRATOR_ADDRESS", "10.0.0.1:7410")
    monkeypatch.setenv(variable, "mine" if variable == "POSOLOGY_TOKEN" else str(tmp_path / "mine"))
    assert Installation.discover(tmp_path).token_for("orchestrator") == "mine"


def test_what_a_dead_process_wrote_is_not_called(tmp_path: Path) -> None:
    dead = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    for writer in ({"pid": int(dead.stdout), "created": 1.0}, {"pid": os.getpid(), "created": 1.0}, {}, {"pid": -1}):
        endpoints(tmp_path, writer=writer)
        with pytest.raises(Unavailable):
            Installation.discover(tmp_path).address("orchestrator")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"addresses": 1}', '{"processes": []}', "\x00\xff", '{"writer": "me"}']
)
def test_a_damaged_file_is_said_to_be_damaged(tmp_path: Path, text: str) -> None:
    (tmp_path / ENDPOINTS).write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput, match=ENDPOINTS):
        Installation.discover(tmp_path)


def test_a_cluster_holds_its_own_bytes_and_an_embedded_installation_does_not(tmp_path: Path) -> None:
    endpoints(tmp_path)
    assert not Installation.discover(tmp_path).connected
    endpoints(tmp_path, processes={})
    assert Installation.discover(tmp_path).connected
