"""Whom an installation tells what it does: services and workers are told where, and the network lets them go there."""

import json
from typing import Any

from unit.chart.test_where_work_runs import egress, ports, rendered, settings

from posology.core.jobs.launchers.kubernetes.pods import PodSettings

COLLECTOR, TRACKER = "http://collector.observability.svc:4317", "http://mlflow.ml.svc:5000"
TOLD = {"telemetry": {"otlpEndpoint": COLLECTOR, "mlflowTrackingUri": TRACKER}}


def worker_environment(service: str, **values: Any) -> dict[str, str]:
    return PodSettings(**json.loads(settings(rendered(**values), service, "POSOLOGY_WORKER_PODS"))).environment


def test_services_and_workers_get_the_collector_and_training_alone_the_tracker() -> None:
    for service in ("orchestrator", "training", "gateway"):
        assert settings(rendered(**TOLD), service, "OTEL_EXPORTER_OTLP_ENDPOINT") == COLLECTOR
    assert worker_environment("curation", **TOLD)["OTEL_EXPORTER_OTLP_ENDPOINT"] == COLLECTOR
    assert worker_environment("training", **TOLD)["MLFLOW_TRACKING_URI"] == TRACKER
    assert "MLFLOW_TRACKING_URI" not in worker_environment("evaluation", **TOLD)


def test_a_workers_own_variables_win() -> None:
    own = {"workers": {"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://sidecar:4317"}}}
    assert worker_environment("training", **TOLD, **own)["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://sidecar:4317"


def test_the_ways_there_are_open_where_they_are_named_and_only_then() -> None:
    for values, reached in (({}, set()), (TOLD, {4317, 5000})):
        objects = rendered(**values)
        assert ports(egress(objects, "workers-of-training", "posology-work")) & {4317, 5000} == reached
        assert ports(egress(objects, "workers-of-curation", "posology-work")) & {4317, 5000} == reached - {5000}
        assert ports(egress(objects, "gateway")) & {4317, 5000} == reached - {5000}
        assert not ports(egress(objects, "engines", "posology-work")) & {4317, 5000}


def test_without_the_setting_nothing_is_said() -> None:
    assert "OTEL_" not in json.dumps(rendered())
    assert "MLFLOW_" not in json.dumps(rendered())
