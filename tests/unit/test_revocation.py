"""Revoking a key works in every form that an operator may write, or says loudly that it did not."""

import hashlib
import subprocess
from pathlib import Path

import pytest

from posology.core import key_rotation
from posology.core.revocation import RevocationsUnreadable, read_revoked
from posology.core.signing import Signer

ID = "0123456789abcdef" * 4
OTHER = "f" * 64


@pytest.mark.parametrize(
    "content",
    [
        f"{ID}\n",
        ID,
        f"{ID.upper()}\n",
        f"sha256:{ID}\n",
        f"SHA256:{ID.upper()}\n",
        f"{ID}  -\n",
        f"{ID} *verdict.pub\n",
        f"{ID}  /keys/my key.pub\n",
        f"SHA2-256(stdin)= {ID}\n",
        f"SHA256 (verdict.pub) = {ID}\n",
        f"\ufeff{ID}\n",
        f"{ID}\r\n",
        f"# old\r\n{ID}\r# end",
        f"\t {ID} \u00a0# stolen laptop, 2026\n\n",
        f"{ID}\n{ID.upper()}\nsha256:{ID}\n",
        f"\u200b{ID}",
    ],
)
def test_every_usual_form_of_an_id_revokes_it(content: str, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_bytes(content.encode())
    assert read_revoked(tmp_path / "revoked") == {ID}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_list_saved_by_another_editor_is_read_or_refused(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_bytes(f"{ID}\r\n".encode(encoding))
    if encoding == "utf-16-le":  # without a mark it could be anything
        with pytest.raises(RevocationsUnreadable):
            read_revoked(tmp_path / "revoked")
    else:
        assert read_revoked(tmp_path / "revoked") == {ID}


@pytest.mark.parametrize(
    "line",
    [
        "abc",
        ID[:12],
        ID + "0",
        ID[:-1] + "g",
        f"{ID} {OTHER}",
        f"{ID},{OTHER}",
        f"{ID};",
        f'"{ID}"',
        f"- {ID}",
        f"sha512:{ID}",
        f"// {ID}",
        f"key: {ID}",
        "-----BEGIN PUBLIC KEY-----",
        ID[:32] + "\n" + ID[32:],
        ID.replace("a", "\u0430"),
    ],
)
def test_a_line_that_is_no_id_refuses_the_whole_list_and_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text(f"{OTHER}\n{line}\n")
    with pytest.raises(RevocationsUnreadable, match=r"revoked, line 2: .* is no key id.*64 hex digits"):
        read_revoked(tmp_path / "revoked")


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "huge").write_bytes(b"#" * 1_000_001)
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for name in ("folder", "binary", "huge", "link"):
        with pytest.raises(RevocationsUnreadable, match=name):
            read_revoked(tmp_path / name)


def test_a_missing_list_is_believed_only_where_it_could_not_be_a_mistake(tmp_path: Path) -> None:
    assert read_revoked(tmp_path / "revoked") == frozenset()
    with pytest.raises(RevocationsUnreadable, match="may be empty"):
        read_revoked(tmp_path / "revoked", required=True)
    with pytest.raises(RevocationsUnreadable, match="folder"):
        read_revoked(tmp_path / "not-mounted" / "revoked")
    for name in ("revoked.txt", "Revoked", "revocations", ".revoked.swp", "revoked.bak"):
        (tmp_path / name).write_text(ID)
        with pytest.raises(RevocationsUnreadable, match=f"but {name} is; rename"):
            read_revoked(tmp_path / "revoked")
        (tmp_path / name).unlink()


def test_the_documented_command_revokes_the_key_that_it_was_given(tmp_path: Path) -> None:
    signer = Signer.load_or_create(tmp_path / "verdict.pem")
    command = f"openssl pkey -pubin -in {tmp_path}/verdict.pub -outform DER | sha256sum >> {tmp_path}/revoked"
    subprocess.run(command, shell=True, check=True)
    assert read_revoked(tmp_path / "revoked") == {signer.id}


@pytest.mark.parametrize(
    "line",
    [
        f"{ID}  {OTHER}",  # two ids, which reads like a sum and a file
        f"{ID} *{OTHER}",
        f"SHA256 (x) = {OTHER}) = {ID}",
        f"# keys of 2025{ID}  -",  # appended to a comment without a line end
        f"#{ID}",
        f"{ID}  # and {OTHER}",
    ],
)
def test_a_second_id_in_a_line_is_not_lost(line: str, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text(line)
    with pytest.raises(RevocationsUnreadable, match=r"line 1: .*holds another key id"):
        read_revoked(tmp_path / "revoked")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_second_list_beside_the_first_must_not_know_more(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "revoked").write_text(ID)
    (tmp_path / "revoked.bak").write_bytes(f"# none\n{ID.upper()}\n".encode(encoding))
    (tmp_path / "revoking.md").write_text("How keys are revoked.")
    assert read_revoked(tmp_path / "revoked") == {ID}
    (tmp_path / "revoked.bak").write_bytes(OTHER.encode(encoding))
    with pytest.raises(RevocationsUnreadable, match=r"revoked\.bak beside .* names keys that are not in the list"):
        read_revoked(tmp_path / "revoked")


def test_the_sum_of_a_keys_file_is_not_taken_for_the_keys(tmp_path: Path) -> None:
    Signer.load_or_create(tmp_path / "evaluation.key")
    digest = hashlib.sha256((tmp_path / "evaluation.pub").read_bytes()).hexdigest()
    (tmp_path / "revoked").write_text(f"{digest}  evaluation.pub\n")
    with pytest.raises(RevocationsUnreadable, match=r"the sum of the file evaluation\.pub, which is no key's id"):
        read_revoked(tmp_path / "revoked")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_list_of_another_editor_goes_on(encoding: str, tmp_path: Path) -> None:
    old = Signer.load_or_create(tmp_path / "evaluation.key").id
    key_rotation.rotate(tmp_path, "evaluation", days=0)
    (tmp_path / "revoked").write_bytes(f"# of 2025\r\n{ID}".encode(encoding))
    key_rotation.revoke(tmp_path, old, reason="stolen")
    assert read_revoked(tmp_path / "revoked") == {ID, old}
