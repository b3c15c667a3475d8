"""Alerts ring when they should and stay silent when they should; nothing asks for a metric that nobody shows."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from charts.generate import static
from support.servers import REPOSITORY
from unit.chart.shown_metrics import names

VALUES = {
    "monitoring": {"serviceMonitor": {"enabled": True}, "rules": {"enabled": True}, "dashboard": {"enabled": True}}
}
DEV = REPOSITORY / "charts" / "posology" / "values-dev.yaml"
RUNBOOKS = REPOSITORY / "docs" / "kubernetes" / "monitoring.md"
NS = 'namespace="posology"'


def the(kind: str, name: str = "posology") -> dict[str, Any]:
    found = static.objects(static.with_values("posology", VALUES, DEV))
    (one,) = [o for o in found if o["kind"] == kind and o["metadata"]["name"] == name]
    return one


def rules() -> list[dict[str, Any]]:
    return [rule for group in the("PrometheusRule")["spec"]["groups"] for rule in group["rules"]]


def asked(queries: list[str]) -> set[str]:
    return {name for query in queries for name in re.findall(r"posology_[a-z_]+", query)}


def test_alerts_ask_for_metrics_that_are_shown() -> None:
    assert asked([rule["expr"] for rule in rules()]) <= names()


def test_the_dashboard_asks_for_metrics_that_are_shown() -> None:
    board = json.loads(the("ConfigMap", "posology-dashboard")["data"]["posology.json"])
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    queries += [variable["query"] for variable in board["templating"]["list"]]
    assert len(asked(queries)) >= 12
    assert asked(queries) <= names()


def test_every_alert_says_what_is_wrong_and_where_it_is_explained() -> None:
    anchors = {
        line.removeprefix("### ").strip().lower() for line in RUNBOOKS.read_text().splitlines() if line[:4] == "### "
    }
    for rule in rules():
        said = rule["annotations"]
        assert said["summary"], rule
        assert said["description"], rule
        page, _, anchor = said["runbook_url"].partition("#")
        assert page == str(RUNBOOKS.relative_to(REPOSITORY))
        assert anchor in anchors, f"{rule['alert']} has no runbook"
    assert anchors >= {rule["alert"].lower() for rule in rules()}


def test_every_service_is_scraped_where_it_shows_its_metrics() -> None:
    monitor = the("ServiceMonitor")
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    services = [o for o in static.objects(static.with_values("posology", VALUES, DEV)) if o["kind"] == "Service"]
    scraped = {
        service["metadata"]["name"]
        for service in services
        if wanted <= service["metadata"]["labels"].items()
        and any(port["name"] == monitor["spec"]["endpoints"][0]["port"] for port in service["spec"]["ports"])
    }
    services_of = ("orchestrator", "curation", "training", "evaluation", "serving", "gateway", "operator")
    assert scraped == {f"posology-{service}" for service in services_of}


# Series as promtool writes them: a value at each minute from 0. `1x60` is 1 sixty times more, `0+60x90` rises by 60.
HEALTHY = {
    f"posology_operator_leading{{{NS}, pod='a'}}": "1x120",
    f"posology_operator_leading{{{NS}, pod='b'}}": "0x120",
    f"posology_runs{{{NS}, phase='FAILED'}}": "3x120",
    f"posology_stage_still_seconds{{{NS}, stage='sft'}}": "30x120",
    f"posology_review_oldest_seconds{{{NS}, stage='review-data'}}": "3600x120",
    f"posology_engines_wanted{{{NS}, deployment='d'}}": "2x120",
    f"posology_engines_ready{{{NS}, deployment='d'}}": "2x120",
    f"posology_deployments{{{NS}, state='FAILED'}}": "1x120",
    f"posology_gateway_cut_total{{{NS}, pod='a'}}": "5x120",
    f"posology_gateway_requests_total{{{NS}, pod='a', status='200'}}": "0+100x120",
    f"posology_gateway_requests_total{{{NS}, pod='a', status='500'}}": "0+1x120",
    f"posology_gateway_routes_stale{{{NS}, pod='a'}}": "1 1 1 0x117",
    f"posology_certificate_expiry_timestamp_seconds{{{NS}, pod='a'}}": "2000000x120",
}
# What changes, when to look (minutes), and which alert rings, with the labels that its message uses.
TROUBLE = {
    "a stage that says nothing new": (
        {f"posology_stage_still_seconds{{{NS}, stage='sft'}}": "0+60x120"}, 70, "PosologyStageStuck", {"stage": "sft"},
    ),
    "experts who let a run wait": (
        {f"posology_review_oldest_seconds{{{NS}, stage='review-data'}}": "260000x120"},
        10, "PosologyReviewWaiting", {"stage": "review-data"},
    ),
    "a run that failed": ({f"posology_runs{{{NS}, phase='FAILED'}}": "3x60 4x60"}, 65, "PosologyRunFailed", {}),
    "no operator that leads": (
        {f"posology_operator_leading{{{NS}, pod='a'}}": "1x10 0x110"}, 20, "PosologyNoOperator", {},
    ),
    "an orchestrator that is away": (
        {f"posology_runs{{{NS}, phase='FAILED'}}": "3x10 _x110"}, 30, "PosologyNoOrchestrator", {},
    ),
    "one engine of two": (
        {f"posology_engines_ready{{{NS}, deployment='d'}}": "2x10 1x110"},
        40, "PosologyEnginesMissing", {"deployment": "d"},
    ),
    "a deployment that failed": (
        {f"posology_deployments{{{NS}, state='FAILED'}}": "1x60 2x60"}, 65, "PosologyDeploymentFailed", {},
    ),
    "the first answer that was cut": (
        {f"posology_gateway_cut_total{{{NS}, pod='a'}}": "0x60 1x60"}, 65, "PosologyAnswersCut", {},
    ),
    "requests that fail": (
        {f"posology_gateway_requests_total{{{NS}, pod='a', status='500'}}": "0+10x120"}, 30, "PosologyRequestsFail", {},
    ),
    "a gateway that hears nothing": (
        {f"posology_gateway_routes_stale{{{NS}, pod='a'}}": "1x120"}, 15, "PosologyRoutesStale", {"pod": "a"},
    ),
    "a certificate that nobody renews": (
        {f"posology_certificate_expiry_timestamp_seconds{{{NS}, pod='a'}}": "500000x120"},
        70, "PosologyCertificateExpires", {"pod": "a"},
    ),
}  # fmt: skip


def ringing(folder: Path, series: dict[str, str], minute: int) -> str:
    """What promtool says of all alerts at that minute, if it expects none."""
    promtool = shutil.which("promtool") or shutil.which(REPOSITORY / "build" / "tools" / "promtool")
    if promtool is None:
        pytest.skip("promtool is neither on PATH nor in build/tools (Debian's package `prometheus` has it)")
    (folder / "rules.yaml").write_text(yaml.safe_dump(the("PrometheusRule")["spec"]))
    silent = [{"eval_time": f"{minute}m", "alertname": rule["alert"], "exp_alerts": []} for rule in rules()]
    inputs = [{"series": name.replace("'", '"'), "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs, "alert_rule_test": silent}
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}))
    done = subprocess.run(
        [promtool, "test", "rules", "test.yaml"], cwd=folder, capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.mark.parametrize("minute", [5, 30, 65, 110])
def test_no_alert_rings_while_all_is_well(tmp_path: Path, minute: int) -> None:
    assert ringing(tmp_path, HEALTHY, minute) == ""


@pytest.mark.parametrize("what", TROUBLE)
def test_an_alert_rings_for(tmp_path: Path, what: str) -> None:
    changes, minute, alert, labels = TROUBLE[what]
    said = ringing(tmp_path, {**HEALTHY, **changes}, minute)
    assert set(re.findall(r"alertname: (\w+)", said)) == {alert}, said
    assert all(f'{name}="{value}"' in said for name, value in labels.items()), said


def test_a_model_without_engines_is_worse_than_one_with_too_few(tmp_path: Path) -> None:
    gone = {f"posology_engines_ready{{{NS}, deployment='d'}}": "2x10 0x110"}
    said = ringing(tmp_path, {**HEALTHY, **gone}, 40)
    assert set(re.findall(r"alertname: (\w+)", said)) == {"PosologyModelDown", "PosologyEnginesMissing"}
