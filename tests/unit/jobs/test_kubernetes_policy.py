"""Policies of sessions, as text; tests/service has a store judge them."""

import json
from typing import Any

import pytest

from posology.core.artifacts import credentials
from posology.core.errors import InvalidInput
from posology.core.jobs.launchers.kubernetes.policy import LONGEST, Keys, Stores

JOB = f"namespaces/{'n' * 63}/trainingJobs/{'j' * 63}"
STORES = Stores(Keys.below("s3://models/candidates#env:X"), Keys.below("s3://models/staging#env:X"))


def statements(stores: Stores, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(stores.policy(JOB, 3, **more))["Statement"]
    return found


def test_the_longest_names_leave_room_for_sources() -> None:
    many = tuple(Keys.of(f"s3://labels-of-the-hospital/{n}/spl") for n in range(5))
    stores = Stores(STORES.candidates, STORES.staging, many)
    assert len(stores.policy(JOB, 999)) <= LONGEST
    with pytest.raises(InvalidInput, match="name fewer prefixes"):
        Stores(STORES.candidates, STORES.staging, many * 9).policy(JOB, 1)


def test_a_store_that_fills_its_bucket_is_listed_whole_and_others_below_their_prefix() -> None:
    stores = Stores(Keys.below("s3://candidates"), Keys.below("s3://scratch/staging/"))
    listing = {tuple(found["Resource"]): found["Condition"] for found in statements(stores) if "Condition" in found}
    assert listing["arn:aws:s3:::candidates",] == {"StringLike": {"s3:prefix": ["*"]}}
    [begins] = listing["arn:aws:s3:::scratch",]["StringLike"]["s3:prefix"]
    assert begins.startswith("staging/jobs/n")
    assert begins.endswith("/*")


def test_nothing_is_deleted_or_written_but_below_the_attempt() -> None:
    for found in statements(STORES):
        if "s3:PutObject" in found["Action"]:
            assert all(resource.endswith(("/3/*", "/checkpoints/3/*")) for resource in found["Resource"])
        else:
            assert found["Action"] in (["s3:GetObject"], ["s3:ListBucket"])


def test_keys_of_encryption_are_allowed_where_they_are_named() -> None:
    key = "arn:aws-cn:kms:cn-north-1:123456789012:key/a"
    [found] = [s for s in statements(Stores(STORES.candidates, STORES.staging, keys=(key,))) if key in s["Resource"]]
    assert found["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_other_clouds_of_amazon_have_names_of_their_own() -> None:
    resources = [resource for found in statements(STORES, partition="aws-cn") for resource in found["Resource"]]
    assert all(resource.startswith("arn:aws-cn:s3:::models") for resource in resources)


@pytest.mark.parametrize("url", ["file:///artifacts", "s3://", "s3://bucket/a*b", "s3://bucket/${aws:username}", "/a"])
def test_what_is_no_prefix_of_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="is not s3://bucket/prefix"):
        Keys.below(url)


def test_options_of_a_store_go_to_workers_without_what_is_secret() -> None:
    client = {"region_name": "eu-central-1", "aws_access_key_id": "k", "aws_secret_access_key": "s"}
    given = {
        "key": "k",
        "secret": "s",
        "token": "t",
        "profile": "p",
        "endpoint_url": "https://m",
        "client_kwargs": client,
    }
    assert credentials.without(given) == {
        "endpoint_url": "https://m",
        "client_kwargs": {"region_name": "eu-central-1"},
    }
