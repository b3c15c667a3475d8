"""`posology endpoints add, remove`: a definition is whole, private, and refused where it could leak."""

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from posology.cli.app import app
from posology.core.errors import FailedPrecondition, InvalidInput, NotFound, PosologyError
from posology.core.model_endpoints.document import Registry


def run(data: Path, *arguments: str, stdin: str = "") -> str:
    """What the command says; its error is raised."""
    result = CliRunner().invoke(app, ["--data", str(data), "endpoints", *arguments], input=stdin)
    if isinstance(result.exception, PosologyError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


PLAIN = ("--address", "https://203.0.114.1/v1", "--model", "gpt-4o", "--secret", "teacher-key")


def test_what_was_added_is_what_services_read(tmp_path: Path) -> None:
    more = ("--model", "small", "--for-namespace", "a", "--for-namespace", "b", "--max-tokens", "5000000000")
    run(tmp_path, "add", "openai", *PLAIN, *more, "--key-from-stdin", stdin="sk-secret\n")
    endpoint = Registry(tmp_path / "model-endpoints").get("openai")
    assert endpoint is not None
    assert endpoint.models == ("gpt-4o", "small")
    assert endpoint.namespaces == {"a", "b"}
    assert endpoint.budget.max_tokens == 5_000_000_000
    assert (tmp_path / "secrets" / "teacher-key").read_text() == "sk-secret\n"


def test_definitions_and_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    said = run(data, "add", "openai", *PLAIN, "--key-from-stdin", stdin="sk-secret\n")
    for path in (data / "model-endpoints" / "openai.yaml", data / "secrets" / "teacher-key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert "sk-secret" not in said
    assert "sk-secret" not in (data / "model-endpoints" / "openai.yaml").read_text()


def test_a_second_definition_takes_the_place_of_the_first_and_removal_ends_it(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "model-endpoints")
    run(tmp_path, "add", "openai", *PLAIN)
    run(tmp_path, "add", "openai", "--address", "https://203.0.114.2/v1", "--model", "m")
    assert [one.address for one in registry.for_namespace("default")] == ["https://203.0.114.2/v1"]
    run(tmp_path, "remove", "openai")
    assert registry.names() == []
    with pytest.raises(NotFound):
        run(tmp_path, "remove", "openai")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("openai", "--model", "m"), "spec.address"),
        (("openai", "--address", "https://h.example/v1"), "spec.models"),
        (("openai", "--address", "https://127.0.0.1/v1", "--model", "m"), "allowPrivate"),
        (("openai", "--address", "http://h.example/v1", "--model", "m"), "https://"),
        (("openai", "--address", "https://h.example/v1?key=sk-1", "--model", "m"), "a secret there would be shown"),
        (("../evil", *PLAIN), "lower-case letters"),
        (("Openai", *PLAIN), "lower-case letters"),
        (("openai", *PLAIN, "--secret", "../../etc/passwd"), "credentials_?[sS]ecret"),
        (("openai", *PLAIN, "--max-cost", "5"), "needs promptPrice"),
        (("openai", *PLAIN, "--max-cost", "inf", "--prompt-price", "1", "--completion-price", "1"), "maxCost"),
        (("openai", *PLAIN, "--max-tokens", "-1"), "maxTokens"),
        (("openai", *PLAIN, "--for-namespace", "a/b"), "namespaces"),
    ],
)
def test_a_definition_that_is_wrong_is_refused_whole(tmp_path: Path, arguments: tuple[str, ...], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        run(tmp_path, "add", *arguments)
    assert not list(tmp_path.rglob("*.yaml"))


@pytest.mark.parametrize("key", ["", "two words", "schlüssel", "sk-\x1b[2J"])
def test_a_key_that_is_none_is_not_kept(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidInput, match="one word of printable ASCII"):
        run(tmp_path, "add", "openai", *PLAIN, "--key-from-stdin", stdin=key + "\n")
    assert not list(tmp_path.rglob("*"))


def test_on_a_cluster_the_chart_defines_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSOLOGY_CURATION_ADDRESS", "curation.example.org:443")
    with pytest.raises(FailedPrecondition, match="modelEndpoints"):
        run(tmp_path, "add", "openai", *PLAIN)
