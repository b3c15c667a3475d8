"""A run is one trace by OpenTelemetry: submit, stages, calls between services, jobs and their workers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.model_files import write_model
from support.otlp_receiver import Collector, Received, collector
from support.servers import REPOSITORY

CLI = [sys.executable, "-m", "posology.cli.app"]
SECRET = "hunter2-is-no-password"
CALLER_TRACE, CALLER_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SPEC = """
apiVersion: posology.dev/v1alpha1
kind: FineTuneRun
metadata: {{name: traced}}
spec:
  baseModel: {{uri: "file:{root}/base"}}
  curation:
    sources: [{{uri: "{labels}", format: SPL}}]
    teacher: {{style: OPEN_BOOK, questionTypes: [strength, maximum-dose, half-life, storage]}}
    pairs: 12
    validation: 2
    filters: {{minWords: 3, requireClinicalTerms: false}}
    deduplicate: {{exact: true, minhash: 0.95, semantic: 0}}
    review: {{sample: 8, maxErrorRate: 0.5}}
  training:
    sft: {{method: LORA, rank: 4, targetModules: [all-linear], maxSteps: 2, maxLength: 16}}
  evaluation:
    engine: {{dtype: float32, maxModelLen: 512}}
    suites: [{{name: everyday, uri: "{root}/everyday.jsonl", scoring: OPTION_LIKELIHOOD}}]
    gates: [{{suite: everyday, atLeast: 0.0, lowerBoundAtLeast: 0.0}}]
"""


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, Path]]:
    """An installation that tells its spans, and a run of it that was cancelled when its data set was made."""
    root = tmp_path_factory.mktemp("traced")
    write_model(root / "base")
    lines = (REPOSITORY / "examples/suites/everyday.jsonl").read_text().splitlines()
    (root / "everyday.jsonl").write_text("\n".join(lines[:8]) + "\n")
    (root / "run.yaml").write_text(SPEC.format(root=root, labels=REPOSITORY / "examples/labels"))
    with collector() as received:
        telling = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": received.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "POSOLOGY_SECRET_HUB": SECRET,
        }
        posology = runner(root, {**os.environ, **telling})
        posology("up", "--allow", str(root), "--allow", str(REPOSITORY / "examples"))
        try:
            caller = {"TRACEPARENT": f"00-{CALLER_TRACE}-{CALLER_SPAN}-01"}
            runner(root, {**os.environ, **telling, **caller})("submit", str(root / "run.yaml"))
            wait_for(lambda: [span for span in received.named("RUN curate") if not span.failed], 150)
            posology("cancel", "traced")
            wait_for(lambda: received.named("RUN FineTuneRun"), 60)
            # A service tells a job when nothing of it runs any more.
            wait_for(lambda: received.named("job base-model") and received.named("job dataset"), 60)
        finally:
            posology("down")
        yield received, root


def runner(root: Path, environment: dict[str, str]) -> Callable[..., None]:
    """Runs commands on the installation in a folder."""

    def run(*arguments: str) -> None:
        command = [*CLI, "--data", str(root / "data"), *arguments]
        done = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"

    return run


def wait_for(look: Callable[[], object], seconds: float) -> None:
    """Until `look` sees something."""
    until = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.2)


def above(spans: list[Received], span: Received) -> list[str]:
    """Names from a span up to the top of its trace."""
    by_id = {each.span: each for each in spans}
    names = [span.name]
    while span.parent in by_id:
        span = by_id[span.parent]
        names.append(span.name)
    return names


def test_one_trace_reaches_from_the_submitter_to_the_workers(traced: tuple[Collector, Path]) -> None:
    received, _ = traced
    spans = [span for span in received.spans if span.trace == CALLER_TRACE]
    services = {span.service for span in spans}
    assert services >= {"posology-orchestrator", "posology-curation", "posology-training", "posology-worker"}
    (worker,) = (span for span in spans if span.name == "attempt dataset")
    assert above(spans, worker) == [
        "attempt dataset",
        "job dataset",
        "posology.v1alpha1.Curation/CreateDataset",  # as curation served it
        "posology.v1alpha1.Curation/CreateDataset",  # as the orchestrator called it
        "RUN curate",
        "RUN FineTuneRun",
        "posology.v1alpha1.Orchestrator/CreateRun",
    ]
    top = next(span for span in spans if span.name.endswith("/CreateRun"))
    assert top.parent == CALLER_SPAN
    assert [span.name for span in spans if above(spans, span)[-1] != top.name] == []


def test_spans_speak_the_words_of_the_conventions(traced: tuple[Collector, Path]) -> None:
    received, _ = traced
    (run,) = received.named("RUN FineTuneRun")
    (curate,) = received.named("RUN curate")
    assert run.attributes["cicd.pipeline.result"] == "cancellation"
    assert run.attributes["cicd.pipeline.run.id"] == "namespaces/default/fineTuneRuns/traced"
    assert curate.attributes["cicd.pipeline.task.run.result"] == "success"
    assert curate.attributes["artifact.hash"].startswith("sha256:")
    served = [span for span in received.named("posology.v1alpha1.Curation/CreateDataset") if span.kind == "SERVER"]
    assert served[0].attributes["rpc.system.name"] == "grpc"
    assert served[0].attributes["rpc.response.status_code"] == "OK"
    assert all(span.started <= span.ended for span in received.spans)
    assert not [span.name for span in received.spans if "/Get" in span.name or "/List" in span.name]


def test_no_span_holds_text_of_a_label_a_secret_or_a_token(traced: tuple[Collector, Path]) -> None:
    received, root = traced
    everything = b"".join(received.raw)
    assert len(received.spans) > 8
    assert SECRET.encode() not in everything
    assert (root / "data/token").read_text().strip().encode() not in everything
    for words in (b"tablets", b"mg ", b"What is", b"patients"):
        assert words not in everything
