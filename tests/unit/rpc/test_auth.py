"""Bearer tokens of a file."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from posology.core.errors import FailedPrecondition, Unauthenticated
from posology.core.rpc.auth import TokenFile, bearer, ensure_token, read_token
from posology.core.rpc.context import Identity, Kind


def identify(tokens: TokenFile, header: str) -> Identity:
    return asyncio.run(tokens.authenticate({"authorization": header}))


def test_a_token_stands_for_its_subject(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("# of this installation\nfirst-token\n\npharmacist maria second-token\n")
    tokens = TokenFile(file)
    assert identify(tokens, "Bearer first-token") == Identity("installation", kind=Kind.OWNER)
    assert identify(tokens, "bearer second-token") == Identity("pharmacist maria", kind=Kind.OWNER)


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic first-token", "first-token"])
def test_what_is_no_bearer_token_says_how_to_send_one(header: str) -> None:
    with pytest.raises(Unauthenticated, match="send `authorization: Bearer <token>`"):
        bearer({"authorization": header})


@pytest.mark.parametrize("wrong", ["Bearer first-toke", "Bearer first-token2", "Bearer #", "Bearer é"])
def test_a_wrong_token_is_refused(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "token"
    file.write_text("# comment\nfirst-token\n")
    with pytest.raises(Unauthenticated, match="not valid here"):
        identify(TokenFile(file), wrong)


def test_a_withdrawn_token_ends_with_the_file_that_held_it(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old-token")
    tokens = TokenFile(file)
    file.write_text("new-token-of-another-length")
    assert identify(tokens, "Bearer new-token-of-another-length").subject == "installation"
    with pytest.raises(Unauthenticated):
        identify(tokens, "Bearer old-token")


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing\n"])
def test_a_file_without_a_token_is_an_error_at_start(tmp_path: Path, text: str) -> None:
    file = tmp_path / "token"
    file.write_text(text)
    with pytest.raises(FailedPrecondition, match="holds no token"):
        TokenFile(file)
    with pytest.raises(FailedPrecondition, match="holds no token"):
        read_token(file)


def test_a_missing_file_says_who_makes_it(tmp_path: Path) -> None:
    with pytest.raises(FailedPrecondition, match="`posology up` makes it"):
        read_token(tmp_path / "token")


def test_many_starters_agree_on_one_token_that_only_the_owner_may_read(tmp_path: Path) -> None:
    file = tmp_path / "state" / "token"
    with ThreadPoolExecutor(16) as pool:
        made = set(pool.map(ensure_token, [file] * 64))
    assert made == {read_token(file)}
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["token"]
