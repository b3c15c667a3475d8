"""Certificates of throw-away authorities, as cert-manager would lay them down."""

import datetime
from pathlib import Path
from typing import Any

import trustme


class Authority:
    """One authority, and folders with ca.crt, tls.crt and tls.key that it makes."""

    def __init__(self) -> None:
        self._ca = trustme.CA()

    def write(self, folder: Path, *names: str, expired: bool = False) -> dict[str, Any]:
        """A certificate for these names (127.0.0.1 by default) in `folder`; the settings that name the files."""
        ends = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1) if expired else None
        made = self._ca.issue_cert(*(names or ("127.0.0.1",)), not_after=ends)
        folder.mkdir(exist_ok=True)
        chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
        for name, content in (
            ("tls.key", made.private_key_pem.bytes()), ("tls.crt", chain), ("ca.crt", self._ca.cert_pem.bytes()),
        ):  # fmt: skip
            draft = folder / f".{name}"
            draft.write_bytes(content)
            draft.replace(folder / name)
        return settings_of(folder)

    def trust(self, folder: Path, *others: "Authority") -> None:
        """The folder's owner trusts this authority, and others beside it."""
        found = b"".join(authority._ca.cert_pem.bytes() for authority in (self, *others))
        (folder / "ca.crt").write_bytes(found)


def settings_of(folder: Path) -> dict[str, Any]:
    """The settings of a process whose files lie in `folder`."""
    return {
        "tls_ca_file": folder / "ca.crt",
        "tls_cert_file": folder / "tls.crt",
        "tls_key_file": folder / "tls.key",
    }
