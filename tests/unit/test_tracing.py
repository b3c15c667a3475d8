"""Traces are off until a collector is named; what a process does not trace it passes on unchanged."""

import os
import subprocess
import sys
from contextvars import copy_context

import pytest
from support.otlp_receiver import collector

from posology.core import tracing
from posology.core.rpc import context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MODULES = "posology.orchestrator.app, posology.training.app, posology.core.jobs.worker.runtime, posology.cli.app"
LOOK = f"import sys, {MODULES}; print([name for name in sys.modules if name.startswith('opentelemetry')])"
OFF: dict[str, dict[str, str]] = {
    "nothing is set": {},
    "no endpoint": {"OTEL_EXPORTER_OTLP_ENDPOINT": "", "OTEL_SERVICE_NAME": "x"},
    "the SDK is disabled": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_SDK_DISABLED": "True"},
    "no exporter of traces": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_TRACES_EXPORTER": "none"},
    "HTTP is asked for": {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    },
    "HTTP is asked for traces": {
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json",
    },
}


def test_nothing_of_opentelemetry_is_imported_where_no_collector_is_named() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", LOOK], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("variables", OFF.values(), ids=OFF)
def test_it_stays_off_where(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    tracing.configure("test")
    assert not tracing.on()


def test_a_process_that_tells_no_spans_passes_its_callers_place_on() -> None:
    header = f"00-{TRACE}-{SPAN}-00"

    def served() -> str:
        context.bind({"traceparent": header})
        return context.place().header()

    assert copy_context().run(served) == header


@pytest.mark.parametrize("flags", ["00", "01", "02", "03", "ff"])
def test_what_the_caller_wants_told_to_nobody_is_told_to_nobody(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with collector() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.endpoint)
        tracing.configure("test")

        def call() -> None:
            context.bind({"traceparent": f"00-{TRACE}-{SPAN}-{flags}"})
            served = tracing.Call.served("posology.v1alpha1.Training/CreateTrainingJob")
            made = tracing.Call.made("posology.v1alpha1.Catalog/RegisterArtifact")
            assert made is not None
            made.end("OK")
            served.end("NOT_FOUND", "NotFound")

        copy_context().run(call)
        tracing.close()
    sampled = bool(int(flags, 16) & 1)
    assert [(span.name.rpartition("/")[2], span.kind, span.failed) for span in received.spans] == (
        [("RegisterArtifact", "CLIENT", False), ("CreateTrainingJob", "SERVER", True)] if sampled else []
    )
    if sampled:
        client, server = received.spans
        assert (server.trace, server.parent, client.parent) == (TRACE, SPAN, server.span)
        assert server.attributes["error.type"] == "NotFound"
        assert server.service == "posology-test"


def test_a_collector_that_is_away_costs_spans_and_seconds_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    tracing.configure("test")
    context.enter(context.Place(TRACE, SPAN))
    for _ in range(5000):
        tracing.Call.served("posology.v1alpha1.Training/CreateTrainingJob").end("OK")
    tracing.close()
    assert not tracing.on()


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("posology.v1alpha1.Training/CreateTrainingJob", True),
        ("posology.v1alpha1.Evaluation/IssueVerdict", True),
        ("posology.v1alpha1.Training/GetTrainingJob", False),
        ("posology.v1alpha1.Training/PlanTraining", False),
        ("posology.v1alpha1.Orchestrator/WatchRun", False),
        ("grpc.health.v1.Health/Check", False),
        ("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", False),
    ],
)
def test_only_calls_that_change_something_are_spans(method: str, told: bool) -> None:
    assert tracing.is_told(method) is told
