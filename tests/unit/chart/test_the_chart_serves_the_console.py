"""The console on a cluster: behind the sign-in of the other doors, with nothing of the installation's own."""

from typing import Any

import helm_python as helm
import pytest
import yaml
from charts.generate import static
from support.servers import REPOSITORY

from posology.console.settings import Settings
from posology.core.settings import PREFIX, load

PRODUCTION = REPOSITORY / "k8s" / "values.yaml"
OIDC = {"mode": "oidc", "audience": "posology-console", "oidc": {"issuer": "https://id.example", "authorities": "ours"}}
CONSOLE = {"enabled": True, "url": "https://posology.example.org", "clientSecret": {"name": "console-client"}}
TLS = {"enabled": True, "certManager": {"enabled": True, "issuer": "posology"}}
Object = dict[str, Any]


def objects(console: Object, who: Object = OIDC, **more: Any) -> list[Object]:
    values = {"authentication": who, "console": {**CONSOLE, **console}, **more}
    return list(static.objects(static.with_values("posology", values, PRODUCTION)))


def the(kind: str, made: list[Object]) -> Object:
    (one,) = [o for o in made if o["kind"] == kind and o["metadata"]["name"] == "posology-console"]
    return one


def test_without_being_asked_there_is_none() -> None:
    made = static.objects(static.with_values("posology", {}, PRODUCTION))
    assert not [o for o in made if o["metadata"]["name"].endswith("-console")]


@pytest.mark.parametrize("who", [OIDC, {"mode": "kubernetes"}])
def test_its_variables_are_settings_and_people_sign_in_as_themselves(
    who: Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = the("Deployment", objects({"scopes": ["openid", "groups"]}, who))["spec"]["template"]["spec"]
    variables = {each["name"]: each["value"] for each in pod["containers"][0]["env"]}
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields} | {f"{PREFIX}GATEWAY_URL"}
    assert variables.keys() <= known
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load(Settings)
    assert (settings.authentication, settings.audience) == (who["mode"], who.get("audience", "posology"))
    assert (settings.console_url, settings.console_scopes) == ("https://posology.example.org", ("openid", "groups"))


def test_it_holds_nothing_of_the_installation() -> None:
    pod = the("Deployment", objects({}, tls=TLS))["spec"]["template"]["spec"]
    sources = yaml.safe_dump(pod["volumes"])
    assert {volume["name"] for volume in pod["volumes"]} == {"state", "tmp", "client", "provider", "tls"}
    assert "posology-token" not in sources
    assert "key-" not in sources
    assert pod["automountServiceAccountToken"] is False
    assert not [each for each in pod["containers"][0]["env"] if "valueFrom" in each or "DATABASE" in each["name"]]


def test_the_client_s_secret_is_named_and_never_written() -> None:
    made = objects({"clientSecret": {"name": "console-client", "key": "oidc"}})
    (volume,) = [v for v in the("Deployment", made)["spec"]["template"]["spec"]["volumes"] if v["name"] == "client"]
    assert volume["secret"]["secretName"] == "console-client"
    assert volume["secret"]["items"] == [{"key": "oidc", "path": "secret"}]
    without = yaml.safe_dump(the("Deployment", objects({"clientSecret": {"name": ""}})))
    assert "CLIENT_SECRET" not in without


def test_its_door_leads_to_its_port_for_its_host_alone() -> None:
    made = objects({"ingress": {"enabled": True, "tlsSecret": "console-tls"}})
    (rule,) = the("Ingress", made)["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    service = the("Service", made)
    assert (rule["host"], backend["name"]) == ("posology.example.org", service["metadata"]["name"])
    assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}
    assert the("Ingress", made)["spec"]["tls"] == [{"hosts": ["posology.example.org"], "secretName": "console-tls"}]
    pod = the("Deployment", made)["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()


def test_a_gateway_of_the_release_listens_for_it() -> None:
    gateway = {"create": True, "className": "envoy", "tlsSecret": "public-tls"}
    made = objects({"httpRoute": {"enabled": True}}, publicGateway=gateway)
    route = the("HTTPRoute", made)["spec"]
    assert (route["hostnames"], route["parentRefs"]) == (["posology.example.org"], [{"name": "posology"}])
    (listening,) = [o for o in made if o["kind"] == "Gateway"]
    assert [each["hostname"] for each in listening["spec"]["listeners"]] == ["posology.example.org"]


def test_only_whom_the_values_name_reaches_its_pages() -> None:
    ingress = [{"namespaceSelector": {"matchLabels": {"name": "edge"}}}]
    policy = the("NetworkPolicy", objects({}, networkPolicy={"consoleFrom": ingress}))["spec"]
    assert policy["ingress"] == [{"ports": [{"port": 8080}], "from": ingress}]
    assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "console"


def test_it_has_a_certificate_to_call_with_and_serves_nobody_with_it() -> None:
    made = objects({}, tls=TLS)
    (certificate,) = [o for o in made if o["kind"] == "Certificate" and o["metadata"]["name"] == "posology-console"]
    assert certificate["spec"]["usages"] == ["digital signature", "client auth"]
    (volume,) = [v for v in the("Deployment", made)["spec"]["template"]["spec"]["volumes"] if v["name"] == "tls"]
    assert volume["secret"]["secretName"] == certificate["spec"]["secretName"]


@pytest.mark.parametrize(
    ("console", "who", "said"),
    [
        ({"url": ""}, OIDC, "console.url: say where"),
        ({"url": "http://posology.example.org"}, OIDC, "url"),
        ({"url": "https://posology.example.org/console"}, OIDC, "url"),
        ({}, {"mode": "token"}, "people sign in as themselves"),
        ({"ingress": {"enabled": True}}, OIDC, "console.ingress.tlsSecret"),
        ({"httpRoute": {"enabled": True}}, OIDC, "console.httpRoute.parentRefs"),
        ({"scopes": ["groups"]}, OIDC, "scopes"),
        ({"clientSecret": {"value": "written down"}}, OIDC, "clientSecret"),
        ({"replicas": 2}, OIDC, "replicas"),
    ],
)
def test_what_is_not_whole_is_refused_by_name(console: Object, who: Object, said: str) -> None:
    with pytest.raises(helm.HelmError, match=said):
        objects(console, who)
