"""The health script that Argo CD runs says of every phase what a platform team would expect."""

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from lupa.lua52 import LuaRuntime
from support.servers import REPOSITORY

from posology.operator.domain import Condition, conditions_of, held, merged, refused

FOLDER = REPOSITORY / "examples" / "argocd"


def health(conditions: Sequence[Condition] | None, *, seen: int = 1, suspend: bool = False) -> tuple[str, str]:
    """What the script says of a resource with these conditions: health and message."""
    status: dict[str, Any] = {}
    if conditions is not None:
        stored = merged([], conditions, generation=seen, at="2026-01-01T00:00:00Z")
        status = {"status": {"conditions": stored, "observedGeneration": seen, "message": "a stage runs"}}
    resource = {"metadata": {"generation": 1}, "spec": {"suspend": suspend}, **status}
    lua = LuaRuntime(register_eval=False)
    lua.globals()["obj"] = lua.table_from(resource, recursive=True)
    answer = lua.execute((FOLDER / "health.lua").read_text())
    return answer["status"], answer["message"]


@pytest.mark.parametrize(
    ("phase", "expected"),
    [
        ("PENDING", "Progressing"), ("RUNNING", "Progressing"), ("REVIEW_PENDING", "Suspended"),
        ("APPROVAL_PENDING", "Suspended"), ("SUCCEEDED", "Healthy"), ("FAILED", "Degraded"), ("CANCELLED", "Degraded"),
    ],
)  # fmt: skip
def test_every_phase_has_a_health(phase: str, expected: str) -> None:
    assert health(conditions_of(phase, "why"))[0] == expected


def test_a_resource_that_nobody_looked_at_is_on_its_way() -> None:
    assert health(None) == ("Progressing", "the operator has not seen this resource yet")
    assert health(conditions_of("SUCCEEDED", "done"), seen=0)[0] == "Progressing", "that was the spec before"


def test_a_refused_spec_says_why() -> None:
    conditions = refused("InvalidSpec", "training.sft.rank: must be at least 1", for_good=True)
    assert health(conditions) == ("Degraded", "training.sft.rank: must be at least 1")
    assert health(refused("Pending", "the orchestrator is away", for_good=False))[0] == "Progressing"


def test_a_held_run_is_suspended() -> None:
    assert health(held("suspended"), suspend=True)[0] == "Suspended"


def test_the_applications_name_charts_that_exist() -> None:
    for application in yaml.safe_load_all((FOLDER / "application.yaml").read_text()):
        chart = REPOSITORY / application["spec"]["source"]["path"]
        assert (chart / "Chart.yaml").exists()
        for values in application["spec"]["source"].get("helm", {}).get("valueFiles", ()):
            assert (chart / values).exists()
