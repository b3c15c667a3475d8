"""Where the clients of a data directory find the certificate that they show."""

from pathlib import Path

import pytest

from posology.client import Installation


def test_a_certificate_below_the_data_directory_is_shown(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    assert Installation.discover(tmp_path).settings.tls_ca_file is None
    for name in ("ca.crt", "tls.crt", "tls.key"):
        (folder / name).write_text("pem")
    found = Installation.discover(tmp_path).settings
    assert (found.tls_ca_file, found.tls_key_file) == (folder / "ca.crt", folder / "tls.key")


def test_variables_win_over_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "ca.crt").write_text("pem")
    monkeypatch.setenv("POSOLOGY_TLS_CA_FILE", str(tmp_path / "other.crt"))
    assert Installation.discover(tmp_path).settings.tls_ca_file == tmp_path / "other.crt"
