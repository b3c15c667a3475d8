"""Candidates -> released: the one place where weights cross, and only with a verdict that lets them."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posology.core.artifacts import ArtifactStore
from posology.core.attestations.verdict import FILE as VERDICT_FILE
from posology.core.canonical import canonical_json
from posology.core.errors import DataCorrupt, InvalidInput, NotFound
from posology.core.release.carried import payload
from posology.serving.admission import Trust, admit
from posology.serving.domain import ONLY_PASS, AlteredWeights, DeploymentRequest, MissingVerdict
from posology.serving.verdict import Verdict, parse_envelope


@dataclass(frozen=True)
class Released:
    """Weights that lie in `released/`, with the verdict that let them in."""

    verdict: Verdict
    verdict_digest: str


@dataclass(frozen=True)
class _Presented:
    """A verdict as it was presented: its envelope, and its digest where it is an artifact already."""

    envelope: Mapping[str, Any]
    digest: str = ""


class Releaser:
    """Checks and copies; keys are read anew each time. Blocking: call it through `asyncio.to_thread`."""

    def __init__(self, candidates: ArtifactStore, released: ArtifactStore, *, trust: Callable[[], Trust]) -> None:
        self._candidates = candidates
        self._released = released
        self._trust = trust

    def check(self, request: DeploymentRequest) -> Verdict:
        """The verdict that lets these weights serve; changes nothing, and each refusal has its own error."""
        return self._admit(request, self._presented(request))

    def release(self, request: DeploymentRequest) -> Released:
        """Check, then copy weights and verdict; doing it again changes nothing.

        The verdict goes first, so that whoever finds weights in `released/` finds their verdict too.
        """
        presented = self._presented(request)
        verdict = self._admit(request, presented)
        digest = self._release_verdict(presented, request.model)
        try:
            self._copy(request.model)
        except DataCorrupt as error:
            raise AlteredWeights(f"these are not the weights that were evaluated: {error.message}") from error
        return Released(verdict, digest)

    def submitter(self, request: DeploymentRequest) -> str:
        """Who had weights evaluated that serve already, as their verdict says; whether they may serve is not asked."""
        envelope = self._presented(request).envelope
        return str(payload(envelope)["predicate"].get("submitter", ""))

    def _admit(self, request: DeploymentRequest, presented: _Presented) -> Verdict:
        verdict = admit(
            presented.envelope,
            model=request.model,
            engine=request.engine,
            namespace=request.namespace,
            model_name=request.plan.model_name,
            trust=self._trust(),
            verdict_digest=presented.digest,
        )
        if not self._anywhere(request.model):
            raise NotFound(f"there are no weights {request.model} in this installation; push or train them first")
        return verdict

    def _presented(self, request: DeploymentRequest) -> _Presented:
        if request.verdict.lstrip().startswith("{"):
            return _Presented(parse_envelope(request.verdict))
        digest = request.verdict or self._look_for_one(request)
        for store in (self._candidates, self._released):
            if store.exists(digest):
                with store.open(digest, VERDICT_FILE) as stored:
                    return _Presented(parse_envelope(stored.read()), digest)
        raise MissingVerdict(f"there is no verdict {digest} in this installation; {ONLY_PASS}")

    def _look_for_one(self, request: DeploymentRequest) -> str:
        """The newest verdict on the weights that was issued for this namespace and model name.

        Others are none of this deployment's: they could not release it, and a neighbour's would stand in the way of its
        own. What is read here only chooses; `admit` verifies it.
        """
        ours = [
            (stored.modified, digest, about)
            for store in (self._candidates, self._released)
            for digest, stored in store.list()
            if (about := _verdict_on(store, digest, request.model)) and about.namespace == request.namespace
        ]
        chosen = [(modified, digest) for modified, digest, about in ours if about.model_name == request.plan.model_name]
        if not chosen:
            others = sorted({f"{about.outcome} as {about.model_name or 'no name'}" for _, _, about in ours})
            where = f", where it has {', '.join(others)}" if others else ""
            raise MissingVerdict(
                f"{request.model} has no verdict, so it may not serve as {request.plan.model_name} in "
                f"{request.namespace}{where}; {ONLY_PASS}"
            )
        return max(chosen)[1]

    def _anywhere(self, model: str) -> bool:
        return self._candidates.exists(model) or self._released.exists(model)

    def _release_verdict(self, presented: _Presented, model: str) -> str:
        if presented.digest:
            if not self._released.exists(presented.digest):
                self._released.copy_from(self._candidates, presented.digest)
            return presented.digest
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / VERDICT_FILE).write_bytes(canonical_json(presented.envelope))
            return self._released.publish(Path(folder), kind="verdict", parents=[model], producer="posology.serving")

    def _copy(self, model: str) -> None:
        """Copying reads every byte against the manifest; weights already released are read likewise."""
        if self._candidates.exists(model):
            self._released.copy_from(self._candidates, model)
        else:
            self._released.verify(model)


@dataclass(frozen=True)
class _About:
    """What a stored verdict says that it is on; read to choose and to explain, not to trust."""

    namespace: str
    model_name: str
    outcome: str


def _verdict_on(store: ArtifactStore, digest: str, model: str) -> _About | None:
    """What the artifact says if it is a verdict on these weights."""
    manifest = store.manifest(digest)
    if manifest.kind != "verdict" or model not in manifest.parents:
        return None
    try:
        with store.open(digest, VERDICT_FILE) as stored:
            predicate = payload(parse_envelope(stored.read()))["predicate"]
        return _About(*(str(predicate.get(field, "")) for field in ("namespace", "modelName", "outcome")))
    except (NotFound, InvalidInput, KeyError, TypeError, ValueError, AttributeError):
        return None
