"""Settings come from the environment once, and a wrong one names its variable."""

from pathlib import Path
from typing import ClassVar

import pydantic
import pytest

from posology.core.errors import InvalidInput
from posology.core.settings import ServiceSettings, load, misspelt, split_address


class TeacherSettings(ServiceSettings):
    service: ClassVar[str] = "teaching"
    teacher_seconds: float
    """Deadline of one answer in seconds."""


def test_everything_hangs_from_the_data_directory(tmp_path: Path) -> None:
    found = load(TeacherSettings, data_dir=tmp_path, teacher_seconds=3)
    assert found.database_url == f"sqlite:///{tmp_path}/db/teaching.sqlite"
    assert found.released_url == f"file://{tmp_path}/artifacts/released"
    assert found.token_file == tmp_path / "token"


def test_the_environment_wins_over_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSOLOGY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("POSOLOGY_DATABASE_URL", "postgresql://db/posology")
    monkeypatch.setenv("POSOLOGY_TEACHER_SECONDS", "5")
    found = load(TeacherSettings)
    assert (found.database_url, found.teacher_seconds) == ("postgresql://db/posology", 5.0)
    assert found.token_file == tmp_path / "token"


def test_an_empty_variable_is_one_that_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSOLOGY_DATABASE_URL", "")
    monkeypatch.setenv("POSOLOGY_LISTEN", "")
    found = load(ServiceSettings, data_dir=tmp_path)
    assert (found.listen, found.database_url) == ("127.0.0.1:0", f"sqlite:///{tmp_path}/db/service.sqlite")


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSOLOGY_CATALOG_ADDRESS", "catalog")
    monkeypatch.setenv("POSOLOGY_METRICS_PORT", "70000")
    with pytest.raises(InvalidInput) as caught:
        load(TeacherSettings)
    assert [(v.field, v.description) for v in caught.value.violations] == [
        ("POSOLOGY_METRICS_PORT", "Input should be less than or equal to 65535 (got '70000')"),
        ("POSOLOGY_CATALOG_ADDRESS", "'catalog' is not host:port; write it like 127.0.0.1:7411"),
        ("POSOLOGY_TEACHER_SECONDS", "is not set"),
    ]


def test_half_a_tls_pair_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="POSOLOGY_TLS_CERT_FILE and POSOLOGY_TLS_KEY_FILE go together"):
        load(ServiceSettings, tls_cert_file=tmp_path / "cert.pem")


def test_settings_do_not_change(tmp_path: Path) -> None:
    found = load(ServiceSettings, data_dir=tmp_path)
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        found.listen = "127.0.0.1:1"


def test_a_nearly_right_variable_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSOLOGY_DRAIN_SECOND", "5")
    monkeypatch.setenv("POSOLOGY_SOMETHING_OF_ANOTHER_SERVICE", "1")
    found = load(ServiceSettings, data_dir=tmp_path)
    assert list(misspelt(found)) == [("POSOLOGY_DRAIN_SECOND", "POSOLOGY_DRAIN_SECONDS")]


@pytest.mark.parametrize(
    ("written", "meant"), [("127.0.0.1:7411", ("127.0.0.1", 7411)), ("[::1]:0", ("::1", 0)), ("a.b:1", ("a.b", 1))]
)
def test_an_address_is_host_and_port(written: str, meant: tuple[str, int]) -> None:
    assert split_address(written) == meant


@pytest.mark.parametrize("written", ["", "host", ":1", "host:", "host:port", "host:65536", "host:-1"])
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        split_address(written)
