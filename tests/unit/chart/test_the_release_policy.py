"""What weights must prove comes with the chart's values; without them nothing is released."""

from pathlib import Path

import yaml
from charts.generate import static
from unit.chart.test_what_the_chart_renders import DEV, PRODUCTION, pods, variables


def job(*values: Path) -> dict[str, str]:
    return {name: value for name, value in variables(pods(*values)["posology-credentials"]).items() if "POLICY" in name}


def test_production_has_no_policy_of_its_own() -> None:
    assert job(PRODUCTION) == {"POSOLOGY_RELEASE_POLICY_DEVELOPMENT": "false"}


def test_trying_things_out_signs_the_development_policy() -> None:
    assert job(DEV) == {"POSOLOGY_RELEASE_POLICY_DEVELOPMENT": "true"}


def test_a_signed_policy_and_its_key_reach_the_public_keys(tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"releasePolicy": {"envelope": '{"payload": "x"}', "publicKey": "PEM"}}))
    given = job(PRODUCTION, values)
    assert given["POSOLOGY_RELEASE_POLICY_ENVELOPE"] == '{"payload": "x"}'
    assert given["POSOLOGY_RELEASE_POLICY_PUBLIC_KEY"] == "PEM"


def test_evaluation_and_serving_read_it_where_public_keys_lie() -> None:
    for service in ("evaluation", "serving"):
        told = variables(pods(DEV)[f"posology-{service}"])
        assert told["POSOLOGY_RELEASE_POLICY_FILE"] == f"{told['POSOLOGY_KEYS_DIR']}/release-policy.dsse.json"


def test_the_key_that_signs_it_is_mounted_by_no_service() -> None:
    rendered = "".join(
        str(found) for found in static.objects(static.rendered("posology", DEV)) if found["kind"] == "Deployment"
    )
    assert "key-release-policy" not in rendered


def test_evaluation_believes_the_reviews_of_curation_whose_public_key_lies_beside_the_others() -> None:
    """People's ratings and labels are signed by curation; without its public key no gate of people could ever hold."""
    told = variables(pods(DEV)["posology-evaluation"])
    assert "POSOLOGY_REVIEW_KEYS" not in told  # all that are called curation*.pub count
    [deployment] = [
        found
        for found in static.objects(static.rendered("posology", PRODUCTION))
        if found["kind"] == "Deployment" and found["metadata"]["name"].endswith("-evaluation")
    ]
    pod = deployment["spec"]["template"]["spec"]
    [keys] = [volume for volume in pod["volumes"] if volume["name"] == "keys"]
    assert {"configMap": {"name": "posology-public-keys"}} in keys["projected"]["sources"]
    [mounted] = [one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "keys"]
    assert mounted["mountPath"] == told["POSOLOGY_KEYS_DIR"]
