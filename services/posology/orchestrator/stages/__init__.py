"""One driver per stage: where the domain's JSON becomes calls to the service that does the work."""

from collections.abc import Callable, Mapping

from posology.core.store import Database
from posology.orchestrator.clients import Clients
from posology.orchestrator.driver import Driver
from posology.orchestrator.stages.base_model import BaseModel
from posology.orchestrator.stages.baseline import Baseline
from posology.orchestrator.stages.curate import Corrections, Curate
from posology.orchestrator.stages.deploy import Deploy
from posology.orchestrator.stages.evaluate import Evaluate
from posology.orchestrator.stages.general import General
from posology.orchestrator.stages.human import Human
from posology.orchestrator.stages.labels import Labels
from posology.orchestrator.stages.plan import Plan
from posology.orchestrator.stages.preferences import Preferences
from posology.orchestrator.stages.preflight import Preflight
from posology.orchestrator.stages.review import ReviewData, ReviewPreferences
from posology.orchestrator.stages.sweep import Sweep
from posology.orchestrator.stages.train import Dpo, Merge, Sft
from posology.orchestrator.stages.verdict import Verdict

_KINDS: Mapping[str, Callable[[Clients], Driver]] = {
    "plan": Plan,
    "base-model": BaseModel,
    "curate": Curate,
    "corrections": Corrections,
    "general": General,
    "preferences": Preferences,
    "preflight": Preflight,
    "baseline": Baseline,
    "review-data": ReviewData,
    "review-preferences": ReviewPreferences,
    "sft": Sft,
    "dpo": Dpo,
    "merge": Merge,
    "evaluate": Evaluate,
    "labels": Labels,
    "human": Human,
    "verdict": Verdict,
    "deploy": Deploy,
}


def drivers(clients: Clients, *, db: Database | None = None, users_are_known: bool = False) -> dict[str, Driver]:
    """The driver of every stage in the graph; a sweep keeps its runs in `db`."""
    made = {name: kind(clients) for name, kind in _KINDS.items()}
    return made | {"deploy": Deploy(clients, users_are_known=users_are_known), "sweep": Sweep(clients, db)}
