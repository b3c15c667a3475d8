"""Before an engine starts: fetch the released weights, check every byte, and ask the admission rule again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posology.core import signing
from posology.core.artifacts import ArtifactStore, cache_eviction
from posology.core.attestations.verdict import FILE as VERDICT_FILE
from posology.core.errors import DataCorrupt, NotFound
from posology.core.release import document
from posology.core.release.domain import ReleasePolicy
from posology.core.revocation import read_revoked
from posology.engine import EngineConfig, chat_template_digest
from posology.serving.admission import Trust, admit
from posology.serving.agent import deny_list
from posology.serving.agent.settings import AgentSettings
from posology.serving.domain import ONLY_PASS, AlteredWeights, MissingVerdict, OtherEngine
from posology.serving.verdict import Verdict, parse_envelope


@dataclass(frozen=True)
class Evidence:
    """Weights on this disk, each file verified, and the verdict that lets them serve."""

    folder: Path
    verdict: Verdict
    policy: ReleasePolicy
    """The one that let them in."""


def gather(settings: AgentSettings) -> Evidence:
    """Verify everything that can be verified without the engine. Blocking; the error says what is wrong."""
    released = ArtifactStore(settings.released_url, credentials_from=settings.released_credentials)
    revoked = read_revoked(settings.revoked_file) if settings.revoked_file else frozenset()
    policy = document.load(settings.policy_file, settings.policy_keys, revoked=revoked)
    verdict = admit(
        _envelope(released, settings.verdict),
        model=settings.model,
        engine=settings.engine,
        namespace=settings.deployment.split("/")[1],
        model_name=settings.model_name,
        trust=Trust(
            public_keys(settings.keys),
            policy,
            public_keys(settings.review_keys),
            revoked,
            deny_list=deny_list.read(settings, revoked),
        ),
        verdict_digest=settings.verdict,
    )
    folder = _weights(released, settings.model, settings.weights_dir)
    _same_template(folder, verdict.engine, settings.model)
    return Evidence(folder, verdict, policy)


def public_keys(paths: Sequence[Path]) -> list[signing.PublicKey]:
    return [signing.PublicKey.load(path) for path in paths]


def _envelope(released: ArtifactStore, digest: str) -> dict[str, object]:
    try:
        with released.open(digest, VERDICT_FILE) as stored:
            return parse_envelope(stored.read())
    except NotFound as error:
        raise MissingVerdict(f"verdict {digest} was never released; {ONLY_PASS}") from error


def _weights(released: ArtifactStore, model: str, cache: Path) -> Path:
    try:
        return cache_eviction.materialize(released, model, cache)
    except NotFound as error:
        raise MissingVerdict(f"weights {model} were never released, so they may not serve; {ONLY_PASS}") from error
    except DataCorrupt as error:
        raise AlteredWeights(f"the released weights were altered: {error.message}") from error


def _same_template(folder: Path, evaluated: EngineConfig, model: str) -> None:
    template = chat_template_digest(folder)
    if evaluated.chat_template and template != evaluated.chat_template:
        raise OtherEngine(f"the chat template of {model} is {template}, but {evaluated.chat_template} was evaluated")
