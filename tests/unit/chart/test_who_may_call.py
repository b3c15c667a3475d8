"""Who may call, as the chart sets it up."""

from typing import Any

import helm_python as helm
import pytest
from charts.generate import static
from support.servers import REPOSITORY

from posology.core.settings import PREFIX, ServiceSettings, load

PRODUCTION = REPOSITORY / "k8s" / "values.yaml"
DEV = REPOSITORY / "charts" / "posology" / "values-dev.yaml"
PROVIDER = {"mode": "oidc", "audience": "our-client", "oidc": {"issuer": "https://id.example", "authorities": "ours"}}
Object = dict[str, Any]


def rendered(who: Object, values: Any = PRODUCTION) -> list[Object]:
    return list(static.objects(static.with_values("posology", {"authentication": who}, values)))


def settings_of(objects: list[Object], service: str, monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """What a service reads from the variables that it is given."""
    (pod,) = (
        o["spec"]["template"]["spec"]
        for o in objects
        if o["kind"] == "Deployment" and o["metadata"]["name"] == f"posology-{service}"
    )
    for variable in pod["containers"][0]["env"]:
        if variable["name"].startswith(PREFIX) and "value" in variable:
            monkeypatch.setenv(variable["name"], variable["value"])
    return load(ServiceSettings)


def test_production_knows_the_cluster_s_users_and_trying_out_knows_one(monkeypatch: pytest.MonkeyPatch) -> None:
    production = settings_of(rendered({}), "training", monkeypatch)
    assert (production.authentication, production.audience) == ("kubernetes", "posology")
    assert settings_of(rendered({}, DEV), "training", monkeypatch).authentication == "token"


def test_a_provider_is_what_services_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_of(rendered(PROVIDER), "gateway", monkeypatch)
    assert (found.authentication, found.audience, found.oidc_issuer) == ("oidc", "our-client", "https://id.example")
    assert str(found.oidc_ca_file) == "/etc/posology/provider/ca.crt"


@pytest.mark.parametrize("who", [{"mode": "kubernetes"}, PROVIDER])
def test_those_who_are_asked_may_ask_the_cluster_and_nothing_else(who: Object) -> None:
    objects = rendered(who)
    (role,) = (
        o for o in objects if o["metadata"]["name"] == "posology-posology-reviews" and o["kind"] == "ClusterRole"
    )
    assert {(rule["resources"][0], *rule["verbs"]) for rule in role["rules"]} == {
        ("tokenreviews", "create"), ("subjectaccessreviews", "create"),
    }  # fmt: skip
    (binding,) = (
        o for o in objects if o["metadata"]["name"] == "posology-posology-reviews" and o["kind"] != "ClusterRole"
    )
    assert "posology-operator" not in {subject["name"] for subject in binding["subjects"]}


def test_no_role_that_comes_with_a_namespace_decides_or_reads_what_was_asked() -> None:
    for role in (o for o in rendered({}) if o["kind"] == "ClusterRole"):
        if any("aggregate" in label for label in role["metadata"]["labels"]):
            for rule in role["rules"]:
                assert not {"approve", "review", "*"} & set(rule["verbs"])
                assert "finetuneruns/answers" not in rule["resources"]


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ({"mode": "none"}, "mode"),
        ({"mode": "oidc"}, "authentication.oidc.issuer: name the provider's URL"),
        ({"mode": "oidc", "oidc": {"issuer": "http://id.example"}}, "issuer"),
    ],
)
def test_what_would_let_anybody_in_is_refused(who: Object, said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        rendered(who)
