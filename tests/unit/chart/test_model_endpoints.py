"""Endpoints of the chart's values are what the services read, and only those that grant them."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.generate import static
from unit.chart.test_what_the_chart_renders import DEV, PRODUCTION, pods, variables

from posology.core.model_endpoints.document import Registry
from posology.core.model_endpoints.domain import ModelBudget

VALUES = {
    "openai": {
        "address": "https://api.openai.com/v1",
        "models": ["gpt-4o", "4.10"],
        "credentialsSecret": "openai-key",
        "namespaces": ["team-a", "*"],
        "budget": {"maxTokens": 123_456_789_000, "maxCost": 2_000_000, "promptPrice": 0.15, "completionPrice": 10},
    },
    "vllm": {"address": "http://vllm.models.svc:8000", "models": ["m"], "namespaces": ["a"], "allowPrivate": True},
}


def rendered(tmp_path: Path, endpoints: object) -> list[dict[str, Any]]:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"modelEndpoints": endpoints}))
    return list(static.objects(static.rendered("posology", PRODUCTION, values)))


def test_what_the_values_say_is_what_the_services_read(tmp_path: Path) -> None:
    (made,) = [one for one in rendered(tmp_path, VALUES) if one["metadata"]["name"].endswith("-model-endpoints")]
    for file, text in made["data"].items():
        (tmp_path / file).write_text(text)
    (tmp_path / "values.yaml").unlink()
    openai, vllm = Registry(tmp_path).for_namespace("a")
    assert (openai.models, openai.credentials_secret) == (("gpt-4o", "4.10"), "openai-key")
    assert openai.budget == ModelBudget(123_456_789_000, 2_000_000, 0.15, 10)
    assert openai.namespaces == {"team-a", "*"}
    assert (vllm.address, vllm.allow_private) == ("http://vllm.models.svc:8000", True)


def test_only_services_that_start_workers_read_them() -> None:
    mounted = {
        name
        for name, pod in pods(DEV).items()
        if any(volume["name"] == "model-endpoints" for volume in pod.get("volumes", ()))
    }
    assert mounted == {"posology-curation", "posology-training", "posology-evaluation"}
    for name in mounted:
        assert variables(pods(DEV)[name])["POSOLOGY_MODEL_ENDPOINTS_DIR"] == "/etc/posology/model-endpoints"


@pytest.mark.parametrize(
    "endpoint",
    [
        {"address": "https://u:p@h/v1", "models": ["m"], "namespaces": ["a"]},
        {"address": "https://h/v1?key=1", "models": ["m"], "namespaces": ["a"]},
        {"address": "https://h/v1", "models": [], "namespaces": ["a"]},
        {"address": "https://h/v1", "models": ["m"], "namespaces": []},
        {"address": "https://h/v1", "models": ["m"], "namespaces": ["a"], "apiKey": "sk-1"},
        {"address": "https://h/v1", "models": ["m"], "namespaces": ["a"], "credentialsSecret": "../key"},
    ],
)
def test_values_that_no_service_would_take_are_refused(tmp_path: Path, endpoint: dict[str, object]) -> None:
    with pytest.raises(Exception, match="modelEndpoints"):
        rendered(tmp_path, {"openai": endpoint})
