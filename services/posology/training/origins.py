"""What a training job makes and from what, by its spec and the manifests of its inputs."""

import dataclasses
from collections.abc import Sequence

from posology.core.artifacts import ArtifactStore, Manifest
from posology.core.errors import NotFound
from posology.core.jobs.domain import Job, Origin
from posology.training import convert
from posology.training.base_models import locations
from posology.training.domain import DpoTask, MergeTask, Method, PreflightTask, SftTask

_WEIGHTS = ("base-model", "model")


class Origins:
    """Reads manifests in the stores that hold a job's inputs."""

    def __init__(self, stores: Sequence[ArtifactStore], rules: locations.Rules) -> None:
        self._stores = stores
        self._rules = rules

    def imported(self, job: Job) -> Origin:
        """Of a base model: where its spec says that it lies. Blocking, as all of these."""
        spec = convert.base_model_from_spec(job.spec)
        source = locations.parse(spec.uri, spec.revision, self._rules)
        parents = (source.digest,) if isinstance(source, locations.Pushed) else ()
        named = {"uri": spec.uri, "revision": spec.revision} if isinstance(source, locations.HubModel) else {}
        return Origin("base-model", parents, named)

    def trained(self, job: Job) -> Origin:
        """Of SFT, DPO, a merge or a preflight."""
        match convert.task_from_spec(job.spec):
            case SftTask() as task:
                kind = "model" if task.recipe.method is Method.FULL else "adapter"
                return Origin(kind, task.parents, task.parameters)
            case DpoTask() as task:
                below = self._below(task.sft, task.base_model)
                recipe = {"task": "dpo", "recipe": dataclasses.asdict(task.recipe)}
                return Origin("adapter", tuple(dict.fromkeys((below, task.sft, task.preferences))), recipe)
            case MergeTask() as task:
                return self._merged(task)
            case PreflightTask() as task:
                return Origin("preflight", task.parents, {"recipe": dataclasses.asdict(task.sft)})

    def _merged(self, task: MergeTask) -> Origin:
        """A model that was trained whole passes through: it is not put together with its base again."""
        whole = self._manifest(task.adapter).kind in _WEIGHTS
        parents = (task.adapter,) if whole else (self._below(task.adapter, task.base_model), task.adapter)
        return Origin("model", parents, {"task": "merge"}, observed=frozenset({"method"}))

    def _below(self, trained: str, base: str) -> str:
        """The model that an adapter lies on, by its parents; a whole model is what the next adapter lies on."""
        manifest = self._manifest(trained)
        if manifest.kind in _WEIGHTS:
            return trained
        models = [parent for parent in manifest.parents if self._is_model(parent)]
        return models[0] if len(models) == 1 else base

    def _is_model(self, digest: str) -> bool:
        try:
            return self._manifest(digest).kind in _WEIGHTS
        except NotFound:
            return False

    def _manifest(self, digest: str) -> Manifest:
        store = next((store for store in self._stores if store.exists(digest)), self._stores[0])
        return store.manifest(digest)
